// Virga beside virsh, on real domains: taking over, giving back, and a lost database that the host brings back. No guest is
// restarted by any of it.
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { tinyGuestDisk } from '@virga/host-agent/contract-suite/tiny-guest';
import { type Hypervisor, startHypervisor } from '@virga/testing/hypervisor';
import { until } from '@virga/testing/until';
import { virsh } from './virsh.ts';
import { WholeCloud } from './whole-cloud.ts';

/** Told at once as a rule; what libvirt's event did not tell is found by looking, once a minute. */
const withinAMinute = { timeoutMs: 90_000 };

let hypervisor: Hypervisor;
let cloud: WholeCloud;

before(async () => {
  hypervisor = await startHypervisor();
  cloud = await WholeCloud.start();
  const image = join(cloud.folder, 'tiny.raw');
  writeFileSync(image, tinyGuestDisk({ answersAcpi: true }));
  await cloud.done(`images register ${image} --name disk --format raw --wait`);
  await cloud.done('networks create default --cidr 10.203.0.0/24 --wait');
});

after(async () => {
  await cloud?.close();
  await hypervisor?.close();
});

/** The process of a guest: another one after a restart. */
const pidOf = (domain: string) => readFileSync(`/run/libvirt/qemu/${domain}.pid`, 'utf8');
const launched = async (name: string) => {
  await cloud.done(`launch ${name} --image disk --type tiny --no-key --wait`);
  return cloud.json(`show ${name}`);
};

/** A running guest as somebody makes one with virsh. Without a serial port it would listen there for ever, and to nothing else. */
async function foreignGuest(name: string): Promise<string> {
  const disk = join(cloud.folder, `${name}.raw`);
  writeFileSync(disk, tinyGuestDisk({ answersAcpi: true }), { mode: 0o666 });
  const xml = join(cloud.folder, `${name}.xml`);
  writeFileSync(
    xml,
    `<domain type='qemu'><name>${name}</name><memory unit='MiB'>96</memory><vcpu>2</vcpu>
      <os><type arch='x86_64' machine='q35'>hvm</type></os><features><acpi/></features>
      <devices><disk type='file' device='disk'><driver name='qemu' type='raw'/><source file='${disk}'/>
        <target dev='vda' bus='virtio'/></disk><serial type='null'/></devices></domain>`,
  );
  await virsh('define', xml);
  await virsh('start', name);
  return disk;
}

test('a domain of virsh is adopted, lives as an instance, and its disk survives the deletion', async () => {
  const disk = await foreignGuest('old-server');
  const pid = pidOf('old-server');
  const definition = await virsh('dumpxml', 'old-server', '--inactive');
  assert.match(await cloud.done('hosts domains'), /old-server +\S+ +running +2 +96 MiB +yes/);
  await cloud.done('adopt old-server --wait');
  assert.equal(pidOf('old-server'), pid);
  const shown = await cloud.json('show old-server');
  assert.deepEqual(
    [shown.state, shown.origin, shown.vcpus, shown.memoryMib, shown.imageId, shown.diskBytes],
    ['running', 'adopted', 2, 96, null, 1024 * 1024],
  );
  const withoutMark = (xml: string) => xml.replace(/\s*<metadata>.*<\/metadata>/s, '');
  assert.equal(withoutMark(await virsh('dumpxml', 'old-server', '--inactive')), withoutMark(definition));
  await cloud.done('stop old-server --wait');
  await cloud.done('start old-server --wait');
  assert.equal(withoutMark(await virsh('dumpxml', 'old-server', '--inactive')), withoutMark(definition));
  await cloud.done('delete old-server --yes --wait');
  assert.doesNotMatch(await virsh('list', '--all', '--name'), /old-server/);
  assert.ok(existsSync(disk));
});

test('an instance is released with its address, runs on, and comes back with both', async () => {
  const web = await launched('web');
  const pid = pidOf(web.domainName);
  await cloud.done('release web --wait');
  assert.equal(pidOf(web.domainName), pid);
  assert.doesNotMatch(await virsh('dumpxml', web.domainName), /urn:virga:domain/);
  assert.deepEqual(await cloud.json('list'), []);
  assert.match(await cloud.done('networks show default'), new RegExp(`Reserved +${web.networkInterfaces[0].address} `));
  const refusal = await cloud.cli(['images', 'delete', 'disk', '--yes']);
  assert.match(refusal.stderr, /which was released, rests on image disk/);
  await cloud.done(`adopt ${web.domainName} --name web --wait`);
  const again = await cloud.json('show web');
  assert.deepEqual(
    [again.networkInterfaces[0].address, again.networkInterfaces[0].mac],
    [web.networkInterfaces[0].address, web.networkInterfaces[0].mac],
  );
  assert.equal(pidOf(web.domainName), pid);
});

test('a definition is edited as with virsh, checked by libvirt before, and what virsh makes of it is kept or taken back', async () => {
  const box = await launched('box');
  const pid = pidOf(box.domainName);
  const file = join(cloud.folder, 'box.xml');
  const definition = () => virsh('dumpxml', box.domainName, '--inactive', '--security-info');
  const write = async (from: string | RegExp, to: string) =>
    writeFileSync(file, (await definition()).replace(from, to));

  await write('</devices>', '<nonsense/></devices>');
  const refused = await cloud.cli(['edit', 'box', '--file', file, '--yes']);
  assert.match(refused.stderr, /does not follow libvirt's schema/);
  // libvirt's schema knows no arithmetic.
  const threeSockets = "<cpu mode='maximum'><topology sockets='3' cores='1' threads='1'/></cpu>";
  await write(/<cpu mode='maximum'[^>]*\/>/, threeSockets);
  const taken = await cloud.cli(['edit', 'box', '--file', file, '--yes']);
  assert.deepEqual(
    [taken.exit, taken.stderr.includes('libvirt would not take the definition')],
    [2, true],
    taken.stderr,
  );
  await write('</devices>', "<watchdog model='i6300esb' action='none'/></devices>");
  await cloud.done(`edit box --file ${file} --yes --wait`);
  assert.match(await definition(), /<watchdog model='i6300esb'/);
  assert.equal(pidOf(box.domainName), pid);
  assert.match(await cloud.done('xml box --diff'), /^\+ +<watchdog model='i6300esb'/m);
  await cloud.done('stop box --wait');
  await cloud.done('start box --wait');
  assert.match(await virsh('dumpxml', box.domainName), /<watchdog model='i6300esb'/);

  await write(/<on_crash>\w+</, '<on_crash>coredump-restart<');
  await virsh('define', file);
  await until('it is told', async () => (await cloud.json('drift box')).last !== null, withinAMinute);
  assert.match(await cloud.done('drift box'), /and kept:.*\+ +<on_crash>coredump-restart/s);
  await cloud.done('stop box --wait');
  await cloud.done('start box --wait');
  assert.match(await definition(), /<on_crash>coredump-restart/);

  await cloud.done('drift box --policy revert');
  await write(/<on_reboot>\w+</, '<on_reboot>destroy<');
  await virsh('define', file);
  await until('it is taken back', async () => /<on_reboot>restart/.test(await definition()), withinAMinute);
  await until('it is told', async () => (await cloud.json('drift box')).last.action === 'reverted', withinAMinute);
  await cloud.done('edit box --reset --yes --wait');
  assert.doesNotMatch(await definition(), /i6300esb|coredump-restart/);
  await cloud.done('delete box --yes --wait');
});

test('a database that is lost comes back from the host, with everything as it was', async () => {
  const db = await launched('db');
  await foreignGuest('win10');
  await cloud.done('adopt win10 --wait');
  await cloud.done('stop win10 --wait');
  const answers = async () => {
    const [instances, networks, images, projects, hosts] = await Promise.all([
      cloud.json('list'),
      cloud.json('networks'),
      cloud.json('images'),
      cloud.json('projects'),
      cloud.json('hosts'),
    ]);
    const lost = { startedAt: null };
    const [{ id, name, allocatedVcpus, allocatedMemoryMib, instanceCount, memoryFloorMib, vcpuOvercommit }] = hosts;
    return {
      instances: instances.map((instance: object) => ({ ...instance, ...lost })),
      networks,
      images,
      projects,
      host: { id, name, allocatedVcpus, allocatedMemoryMib, instanceCount, memoryFloorMib, vcpuOvercommit },
      types: await cloud.json('types list'),
    };
  };
  await cloud.done('types create odd --vcpus 3 --memory 200 --disk 1');
  await cloud.done('hosts set --vcpu-overcommit 7 --memory-floor 33');
  const keepsake = /^host-keepsake\..*\.json$/;
  const storage = join(cloud.folders.state, 'storage');
  await until('the host keeps what was said of it', () =>
    readdirSync(storage).some(
      (file) => keepsake.test(file) && /"memory_floor_mib":33\b.*"odd"/.test(readFileSync(join(storage, file), 'utf8')),
    ),
  );
  const before = await answers();
  const pid = pidOf(db.domainName);
  await cloud.stopServer();
  rmSync(cloud.folders.database, { recursive: true });

  const said = await cloud.recover();
  assert.match(
    said,
    new RegExp(`The database was rebuilt: ${before.instances.length} instances, 1 networks, 1 images`),
  );
  await cloud.startServer();
  await until('the host is ready', async () => (await cloud.json('hosts'))[0].state === 'ready');
  assert.deepEqual(await answers(), before);
  assert.equal(pidOf(db.domainName), pid);

  await launched('new');
  await cloud.done('delete new db --yes --wait');
  await cloud.done('start win10 --wait');
  assert.equal((await cloud.json('show win10')).state, 'running');
});
