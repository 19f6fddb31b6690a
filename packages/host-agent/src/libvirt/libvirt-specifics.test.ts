// What only libvirt and QEMU have: firmware variables, saved memory, snapshots, taps on bridges, logs that are rotated,
// consoles that are taken over. The contract of host agents is tested elsewhere.
import assert from 'node:assert/strict';
import { access, mkdir, readdir, readlink, rm, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { after, before, test } from 'node:test';
import type { DesiredInstance, DesiredNetwork } from '@virga/contract/agent/desired';
import { type ImageId, newId } from '@virga/contract/ids';
import { until } from '@virga/testing/until';
import { rejectsWith } from '../contract-suite/contract-test.ts';
import { greeting, tinyGuestDisk } from '../contract-suite/tiny-guest.ts';
import { openTestHost, randomMac, type TestHost } from './testing/test-host.ts';
import { childAt, childrenOf, parseXml } from './xml.ts';

let host: TestHost;
let network: DesiredNetwork;
let imageId: ImageId;
let addresses = 10;

before(async () => {
  host = await openTestHost(14);
  imageId = newId('image');
  const path = join(host.storagePath, 'guest.raw');
  await writeFile(path, tinyGuestDisk({ answersAcpi: true }));
  const { agent, cloudId } = host;
  await agent.importImage({ id: imageId, cloudId, generation: 1, source: { kind: 'file', path }, format: 'raw' });
  network = host.network();
  await agent.applyNetwork(network);
});

after(() => host.close());

function instance(changes: Partial<DesiredInstance> = {}): DesiredInstance {
  const nic = {
    id: newId('networkInterface'),
    networkId: network.id,
    mac: randomMac(),
    address: `10.77.14.${addresses++}`,
  };
  return host.instance(network, imageId, { nics: [nic], ...changes });
}

const off = (desired: DesiredInstance): DesiredInstance => ({
  ...desired,
  generation: desired.generation + 1,
  power: { state: 'stopped', forceAt: new Date().toISOString() },
});

const find = ({ uuid }: DesiredInstance) => host.outside.domains.lookupByUuid(uuid);

async function leavesNothing(desired: DesiredInstance): Promise<void> {
  const { agent, outside } = host;
  await agent.deleteInstance(desired);
  await assert.rejects(find(desired), { code: 'NO_DOMAIN' });
  assert.ok(!(await readdir(join(host.storagePath, 'instances'))).some((name) => name.includes(desired.id)));
  const xml = await outside.networks.xml(await outside.networks.lookupByUuid(network.uuid));
  assert.ok(!desired.nics.some(({ mac }) => xml.includes(mac)), xml);
}

test('an instance with UEFI leaves no firmware variables behind', async () => {
  const desired = instance({ firmware: 'uefi' });
  await host.agent.applyInstance(desired);
  const xml = parseXml(await host.agent.domainXml(desired.id));
  const variables = childAt(xml, 'os', 'nvram')?.text ?? '';
  assert.equal(variables, join(host.storagePath, 'instances', desired.id, 'nvram-uefi.fd'));
  await access(variables);
  await leavesNothing(desired);
});

test('an instance whose memory was saved and that has snapshots can be deleted', async () => {
  const desired = instance();
  await host.agent.applyInstance(desired);
  const domain = await find(desired);
  const disks = "<disks><disk name='vda' snapshot='external'/><disk name='vdb' snapshot='no'/></disks>";
  const xml = `<domainsnapshot><name>s</name>${disks}</domainsnapshot>`;
  await host.outside.domains.snapshotCreateXml(domain, xml, { diskOnly: true });
  await host.outside.domains.managedSave(domain);
  const [seen] = (await host.agent.listInstances(host.cloudId)).filter(({ id }) => id === desired.id);
  assert.deepEqual([seen?.state, seen?.reason], ['hibernated', 'suspended']);
  await leavesNothing(desired);
});

test('a new size is taken at the next start, and told in the definition at once', async () => {
  const desired = instance();
  await host.agent.applyInstance(desired);
  const larger = { ...desired, generation: 2, memoryMib: 96, maxMemoryMib: 96, vcpus: 2, maxVcpus: 2 };
  await host.agent.applyInstance(larger);
  const { domains } = host.outside;
  const memoryOf = async (options: { inactive?: boolean }) =>
    Number(childAt(parseXml(await domains.xml(await find(desired), options)), 'memory')?.text) / 1024;
  assert.deepEqual([await memoryOf({}), await memoryOf({ inactive: true })], [64, 96]);
  await host.agent.applyInstance(off(larger));
  await host.agent.applyInstance({ ...larger, generation: 4 });
  assert.equal(await memoryOf({}), 96);
  await leavesNothing(desired);
});

test('a guest that the host cannot start is refused, with libvirt’s reason, and leaves nothing', async () => {
  const desired = instance({ memoryMib: 64 * 1024 * 1024 });
  await rejectsWith('HypervisorRefused', host.agent.applyInstance(desired));
  await leavesNothing(desired);
});

test('an address that another card still claims goes to the card that is to have it', async () => {
  const desired = instance();
  const [nic] = desired.nics;
  const ref = await host.outside.networks.lookupByUuid(network.uuid);
  const xml = `<host mac='${randomMac()}' name='${desired.seed.hostName}' ip='${nic?.address}'/>`;
  const both = { live: true, config: true };
  await host.outside.networks.update(ref, { command: 'addLast', section: 'ipDhcpHost', xml }, both);
  await host.agent.applyInstance(desired);
  for (const options of [{}, { inactive: true }]) {
    const ip = childAt(parseXml(await host.outside.networks.xml(ref, options)), 'ip', 'dhcp');
    const leases = childrenOf(ip, 'host').filter(({ attributes }) => attributes.ip === nic?.address);
    assert.deepEqual(
      leases.map(({ attributes }) => attributes.mac),
      [nic?.mac],
    );
  }
  await leavesNothing(desired);
});

test('a guest whose network was stopped is put back on its bridge', async () => {
  const desired = instance();
  await host.agent.applyInstance(desired);
  const device = childAt(parseXml(await host.agent.domainXml(desired.id)), 'devices', 'interface', 'target')?.attributes
    .dev;
  const bridgeOf = () => readlink(`/sys/class/net/${device}/master`).then(basename, () => undefined);
  assert.equal(await bridgeOf(), network.bridge);
  await host.outside.networks.destroy(await host.outside.networks.lookupByUuid(network.uuid));
  assert.equal(await bridgeOf(), undefined);
  const leases = desired.nics.map(({ mac, address }) => ({ mac, address, hostName: 'web' }));
  await host.agent.applyNetwork({ ...network, leases });
  assert.equal(await bridgeOf(), network.bridge);
  await leavesNothing(desired);
});

test('who opens a console takes it from who had it open', async () => {
  const desired = instance();
  await host.agent.applyInstance(desired);
  const first = await host.agent.openConsole(desired.id);
  first.on('error', () => undefined).resume();
  const ended = new Promise((resolve) => first.once('close', resolve));
  const second = await host.agent.openConsole(desired.id);
  await ended;
  let heard = '';
  second.on('data', (chunk: Buffer) => {
    heard += chunk.toString('latin1');
  });
  await until('the answer on the second console', () => {
    second.write('ping');
    return heard.includes('ping');
  });
  second.destroy();
  await leavesNothing(desired);
});

test('the console log goes on in what was rotated away', async () => {
  const desired = instance();
  await host.agent.applyInstance(desired);
  await until('the greeting', async () => (await host.agent.consoleLog(desired.id, 1000)).bytes.includes(greeting));
  const path = join(host.storagePath, 'instances', desired.id, 'console.log');
  await writeFile(`${path}.0`, 'earlier\n');
  const all = await host.agent.consoleLog(desired.id, 1000);
  assert.match(all.bytes.toString('latin1'), /^earlier\n[\s\S]*guest booted/);
  assert.equal(all.truncated, false);
  assert.equal((await host.agent.consoleLog(desired.id, all.bytes.length - 1)).truncated, true);
  await leavesNothing(desired);
});

test('a deleted folder under a running guest is told as not intact, and its domain is still found', async () => {
  const desired = instance();
  await host.agent.applyInstance(desired);
  await rm(join(host.storagePath, 'instances', desired.id), { recursive: true });
  const [seen] = (await host.agent.listInstances(host.cloudId)).filter(({ id }) => id === desired.id);
  assert.deepEqual([seen?.state, seen?.intact], ['running', false]);
  assert.ok((await host.agent.domainXml(desired.id)).includes(desired.uuid));
  await leavesNothing(desired);
});

test('a root disk that is gone is not replaced by an empty one', async () => {
  const desired = instance();
  await host.agent.applyInstance(desired);
  const disk = join(host.storagePath, 'instances', desired.id, 'root.qcow2');
  await rm(disk);
  assert.equal((await host.agent.applyInstance({ ...desired, generation: 2 })).intact, false);
  const stopped = off({ ...desired, generation: 2 });
  assert.equal((await host.agent.applyInstance(stopped)).state, 'stopped');
  await rejectsWith('HypervisorRefused', host.agent.applyInstance({ ...desired, generation: 4 }));
  await assert.rejects(access(disk), { code: 'ENOENT' });
  await leavesNothing(desired);
});

test('a guest can be stopped though its image and its network are gone from the host', async () => {
  const { agent, cloudId, storagePath } = host;
  const lost = newId('image');
  const path = join(storagePath, 'lost.raw');
  await writeFile(path, tinyGuestDisk({ answersAcpi: true }));
  await agent.importImage({ id: lost, cloudId, generation: 1, source: { kind: 'file', path }, format: 'raw' });
  const desired = instance();
  await agent.applyInstance({ ...desired, rootDisk: { ...desired.rootDisk, imageId: lost } });
  await rm(join(storagePath, 'images', lost), { recursive: true });
  const gone = desired.nics.map((nic) => ({ ...nic, networkId: newId('network') }));
  const stopped = off({ ...desired, nics: gone, rootDisk: { ...desired.rootDisk, imageId: lost } });
  const observed = await agent.applyInstance(stopped);
  assert.deepEqual([observed.state, observed.generation], ['stopped', 2]);
  await leavesNothing(desired);
});

test('ten launches at once end with ten guests, each with its lease', async () => {
  const all = Array.from({ length: 10 }, (_, index) =>
    instance({ seed: { hostName: `n${index}`, publicKeys: [], userData: null } }),
  );
  const observed = await Promise.all(all.map((desired) => host.agent.applyInstance(desired)));
  assert.deepEqual(new Set(observed.map(({ state }) => state)), new Set(['running']));
  const [seen] = await host.agent.listNetworks(host.cloudId);
  const leased = new Set(seen?.leases.map(({ mac, address }) => `${mac} ${address}`));
  for (const { nics } of all) assert.ok(leased.has(`${nics[0]?.mac} ${nics[0]?.address}`));
  await Promise.all(all.map((desired) => leavesNothing(desired)));
});

test('a folder whose owner cannot be read is nobody’s, and hides no other instance', async () => {
  const desired = instance();
  await host.agent.applyInstance(desired);
  const broken = join(host.storagePath, 'instances', newId('instance'));
  await mkdir(broken);
  await writeFile(join(broken, 'owner.json'), '{"id":');
  const listed = await host.agent.listInstances(host.cloudId);
  assert.deepEqual(
    listed.map(({ id }) => id),
    [desired.id],
  );
  await rm(broken, { recursive: true });
  await leavesNothing(desired);
});

test('a network that cannot start is not left defined', async () => {
  const desired = host.network({ gateway: network.gateway, cidr: network.cidr });
  await rejectsWith('HypervisorRefused', host.agent.applyNetwork(desired));
  await assert.rejects(host.outside.networks.lookupByUuid(desired.uuid), { code: 'NO_NETWORK' });
});

test('a guest without a port left is given nothing, and gets it when it is started again', async () => {
  const { agent, cloudId } = host;
  const desired = instance();
  await agent.applyInstance(desired);
  const ids = Array.from({ length: 12 }, () => newId('volume'));
  const volume = { cloudId, generation: 1, name: 'data', sizeBytes: 1024 * 1024, mustExist: false, keepsake: {} };
  for (const id of ids) await agent.applyVolume({ ...volume, id });
  const volumes = ids.map((id, index) => ({ id, target: `vd${'cdefghijklmn'[index]}`, readOnly: false }));
  await rejectsWith('HypervisorRefused', agent.applyInstance({ ...desired, generation: 2, volumes }));
  assert.doesNotMatch(await agent.domainXml(desired.id), /ua-vol/);
  await agent.applyInstance(off({ ...desired, generation: 2, volumes }));
  await agent.applyInstance({ ...desired, generation: 4, volumes });
  assert.equal((await agent.domainXml(desired.id)).match(/'ua-vol-/g)?.length, ids.length);
  await leavesNothing(desired);
  for (const id of ids) await agent.deleteVolume({ id, cloudId });
});
