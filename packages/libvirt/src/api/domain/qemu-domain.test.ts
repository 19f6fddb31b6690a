// Real domains under QEMU's emulation, without an operating system: the firmware is guest enough.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { after, before, test } from 'node:test';
import type { Connection } from '../../connection/connect.ts';
import { LibvirtError } from '../../errors.ts';
import type { DomainRef } from '../../protocol/objects.ts';
import { connectForTest, firmwareDomainXml, storageFolder, uniqueName, waitFor } from '../../testing/daemon.ts';

let connection: Connection;
const leftovers = new Set<DomainRef>();

before(async () => {
  connection = await connectForTest('qemu:///system');
});

after(async () => {
  for (const domain of leftovers) {
    await connection.domains.destroy(domain).catch(() => undefined);
    await connection.domains.undefine(domain, { managedSave: true, snapshotsMetadata: true }).catch(() => undefined);
  }
  await connection.close();
});

async function define(extraDevices = ''): Promise<DomainRef> {
  const domain = await connection.domains.defineXml(firmwareDomainXml(uniqueName(), extraDevices), { validate: true });
  leftovers.add(domain);
  return domain;
}

test('a domain lives its life and every step is seen as an event, in order', async () => {
  const { domains } = connection;
  const seen: string[] = [];
  const undefined_ = waitFor<void>('the undefined event');
  let name = '';
  await using _ = await domains.on('lifecycle', (event) => {
    if (event.domain.name !== name && name !== '') return;
    seen.push(`${event.event}/${event.detail}`);
    if (event.event === 'undefined') undefined_.resolve();
  });
  const domain = await define();
  name = domain.name;
  assert.equal(domain.id, -1);
  assert.deepEqual(await domains.state(domain), { state: 'off', reason: 'unknown' });

  const started = await domains.create(domain, { paused: true });
  assert.ok(started.id > 0);
  assert.deepEqual(await domains.state(domain), { state: 'paused', reason: 'user' });
  await domains.resume(domain);
  assert.equal((await domains.state(domain)).state, 'running');
  assert.equal((await domains.info(domain)).memoryKib, 32 * 1024);
  assert.ok((await domains.list({ active: true })).some(({ uuid }) => uuid === domain.uuid));
  await domains.suspend(domain);
  assert.deepEqual(await domains.state(domain), { state: 'paused', reason: 'user' });
  await domains.resume(domain);
  await domains.destroy(domain);
  assert.deepEqual(await domains.state(domain), { state: 'off', reason: 'destroyed' });
  await domains.undefine(domain);
  await undefined_.done;
  leftovers.delete(domain);

  const expected = ['defined/added', 'started/booted', 'suspended/paused', 'resumed/unpaused', 'suspended/paused'];
  const tail = ['resumed/unpaused', 'stopped/destroyed', 'undefined/removed'];
  assert.deepEqual(
    seen.filter((event) => event !== 'shutdown/host'),
    [...expected, ...tail],
  );
});

test('the serial console carries the firmware out and keys in', async () => {
  const { domains } = connection;
  const domain = await define();
  await domains.create(domain, { paused: true });
  const serial = await domains.openConsole(domain);
  const banner = waitFor<void>('the firmware banner');
  const menu = waitFor<void>('the boot menu');
  let text = '';
  let answered = false;
  serial.on('data', (chunk: Buffer) => {
    text += chunk.toString('latin1');
    if (text.includes('SeaBIOS')) banner.resolve();
    if (text.includes('Press ESC') && !answered) answered = serial.write('\x1b');
    if (text.includes('Select boot device')) menu.resolve();
  });
  await domains.resume(domain);
  await banner.done;
  await menu.done;
  const ended = waitFor<void>('the end of the console');
  serial.on('end', () => ended.resolve());
  await domains.destroy(domain);
  await ended.done;
});

test('a console somebody has open is only taken with force', async () => {
  const { domains } = connection;
  const domain = await define();
  await domains.create(domain, { paused: true });
  const first = await domains.openConsole(domain);
  await assert.rejects(domains.openConsole(domain), { name: 'LibvirtError', code: 'OPERATION_FAILED' });
  const closed = waitFor<void>('the loss of the first console');
  first.on('close', () => closed.resolve()).on('error', () => undefined);
  const second = await domains.openConsole(domain, { force: true });
  await closed.done;
  second.destroy();
  await domains.destroy(domain);
});

test('a screenshot is a picture', async () => {
  const { domains } = connection;
  const domain = await define();
  await domains.create(domain);
  const { mimeType, stream } = await domains.screenshot(domain);
  const picture = await buffer(stream);
  assert.match(mimeType, /^image\//);
  assert.ok(picture.length > 1000);
  await domains.destroy(domain);
});

test('statistics, processors and memory of a running domain are typed', async () => {
  const { domains } = connection;
  const domain = await define();
  await domains.create(domain);
  const [stats] = await domains.stats({ domains: [domain], groups: ['state', 'cpu', 'balloon', 'vcpu'] });
  assert.equal(stats?.domain.uuid, domain.uuid);
  assert.equal(stats?.parameters['state.state'], 1);
  assert.equal(typeof stats?.parameters['cpu.time'], 'bigint');
  assert.equal(stats?.parameters['balloon.maximum'], 32n * 1024n);
  assert.equal(await domains.getVcpus(domain), 1);
  assert.equal(await domains.getVcpus(domain, { maximum: true, config: true }), 2);
  const [vcpu] = await domains.vcpus(domain);
  assert.equal(vcpu?.vcpu, 0);
  assert.deepEqual((await domains.vcpuPins(domain))[0], vcpu?.allowedCpus);
  await domains.pinVcpu(domain, 0, [0], { config: true });
  assert.deepEqual((await domains.vcpuPins(domain, { config: true }))[0], [0]);
  assert.equal((await domains.memoryStats(domain)).balloonKib, 32 * 1024);
  await domains.setMemory(domain, 24 * 1024, { config: true });
  assert.match(await domains.xml(domain, { inactive: true }), /<currentMemory unit='KiB'>24576</);
  await domains.destroy(domain);
});

test('tuning parameters are written with the type that libvirt expects and read back', async () => {
  const { domains } = connection;
  const domain = await define();
  await domains.setMemoryParameters(domain, { hardLimitKib: 1_048_576, softLimitKib: 524_288n }, { config: true });
  const memory = await domains.getMemoryParameters(domain, { config: true });
  assert.equal(memory.hard_limit, 1_048_576n);
  assert.equal(memory.soft_limit, 524_288n);
  await domains.setSchedulerParameters(domain, { cpuShares: 512, vcpuQuotaUs: -1 }, { config: true });
  assert.equal((await domains.getSchedulerParameters(domain, { config: true })).cpu_shares, 512n);
  await domains.setNumaParameters(domain, { nodeset: '0', mode: 'strict' }, { config: true });
  assert.equal((await domains.getNumaParameters(domain, { config: true })).numa_nodeset, '0');
  await domains.setBlkioParameters(domain, { weight: 300 }, { config: true });
  assert.equal((await domains.getBlkioParameters(domain, { config: true })).weight, 300);
});

test('metadata, title and autostart are kept with the domain', async () => {
  const { domains } = connection;
  const domain = await define();
  const uri = 'https://example.org/virga-test';
  await assert.rejects(domains.getMetadata(domain, uri), { code: 'NO_DOMAIN_METADATA' });
  const changed = waitFor<string | null>('the metadata event');
  await using _ = await domains.on('metadata-change', (event) => {
    if (event.domain.uuid === domain.uuid && event.type === 'element') changed.resolve(event.namespaceUri);
  });
  await domains.setMetadata(domain, { uri, key: 'v', xml: '<instance id="i-1"/>' }, { config: true });
  assert.match(await domains.getMetadata(domain, uri), /id=["']i-1["']/);
  assert.equal(await changed.done, uri);
  await domains.setLabel(domain, 'title', 'A title', { config: true });
  assert.equal(await domains.getLabel(domain, 'title'), 'A title');
  await domains.setAutostart(domain, true);
  assert.equal(await domains.getAutostart(domain), true);
  await domains.setAutostart(domain, false);
});

test('a disk is plugged, throttled, copied, resized and unplugged while the domain runs', async () => {
  const { domains } = connection;
  await using folder = await storageFolder();
  const pool = await connection.storagePools.createXml(
    `<pool type='dir'><name>${uniqueName()}</name><target><path>${folder.path}</path></target></pool>`,
  );
  await using _pool = { [Symbol.asyncDispose]: () => connection.storagePools.destroy(pool) };
  const volumeXml = (name: string) =>
    `<volume><name>${name}</name><capacity unit='MiB'>8</capacity><target><format type='qcow2'/></target></volume>`;
  const volume = await connection.volumes.createXml(pool, volumeXml('a.qcow2'));
  const ports = [1, 2, 3, 4].map((index) => `<controller type='pci' index='${index}' model='pcie-root-port'/>`);
  const domain = await define(`<controller type='pci' index='0' model='pcie-root'/>${ports.join('')}`);
  await domains.create(domain);
  const source = await connection.volumes.path(volume);
  const disk = `<disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='${source}'/><target dev='vda' bus='virtio'/></disk>`;
  await domains.attachDevice(domain, disk, { live: true });
  assert.match(await domains.xml(domain), /target dev='vda'/);

  assert.equal((await domains.blockInfo(domain, 'vda')).capacityBytes, 8 * 2 ** 20);
  await domains.blockResize(domain, 'vda', 16 * 2 ** 20);
  assert.equal((await domains.blockInfo(domain, 'vda')).capacityBytes, 16 * 2 ** 20);
  await domains.setBlockIoTune(domain, 'vda', { totalIopsPerSecond: 500, groupName: 'g' }, { live: true });
  const tune = await domains.getBlockIoTune(domain, 'vda');
  assert.equal(tune.total_iops_sec, 500n);
  assert.equal(tune.group_name, 'g');
  assert.equal(typeof (await domains.blockStats(domain, 'vda')).rd_bytes, 'bigint');
  assert.deepEqual(await domains.diskErrors(domain), []);

  const ready = waitFor<string>('the end of the copy');
  await using _ = await domains.on('block-job', ({ domain: { uuid }, status }) => {
    if (uuid === domain.uuid && status === 'ready') ready.resolve(status);
  });
  const copy = `<disk type='file'><source file='${join(folder.path, 'b.qcow2')}'/><driver type='qcow2'/></disk>`;
  await domains.blockCopy(domain, 'vda', copy, { bandwidthBytesPerSecond: 100 * 2 ** 20, transientJob: true });
  await ready.done;
  assert.equal((await domains.blockJobInfo(domain, 'vda'))?.type, 'copy');
  await domains.blockJobAbort(domain, 'vda', { pivot: true });
  assert.match(await domains.xml(domain), /b\.qcow2/);
  assert.equal(await domains.blockJobInfo(domain, 'vda'), undefined);

  const snapshot = `<domainsnapshot><disks><disk name='vda'><source file='${join(folder.path, 'c.qcow2')}'/></disk></disks></domainsnapshot>`;
  await domains.snapshotCreateXml(domain, snapshot, { diskOnly: true, noMetadata: true, atomic: true });
  assert.match(await domains.xml(domain), /c\.qcow2/);
  const committed = waitFor<string>('the end of the commit');
  await using _commit = await domains.on('block-job', ({ domain: { uuid }, type, status }) => {
    if (uuid === domain.uuid && type === 'active-commit' && status === 'ready') committed.resolve(status);
  });
  await domains.blockCommit(domain, 'vda', { active: true, shallow: true });
  await committed.done;
  await domains.blockJobAbort(domain, 'vda', { pivot: true });
  assert.doesNotMatch(await domains.xml(domain), /c\.qcow2/);

  // Without an operating system nobody releases a running disk, so only the definition loses one again.
  await domains.attachDevice(domain, disk, { config: true });
  assert.match(await domains.xml(domain, { inactive: true }), /target dev='vda'/);
  await domains.detachDevice(domain, disk, { config: true });
  assert.doesNotMatch(await domains.xml(domain, { inactive: true }), /target dev='vda'/);
  await domains.destroy(domain);
});

test("QEMU's monitor answers in both languages, and the domain then says that it is tainted", async () => {
  const { domains } = connection;
  const domain = await define();
  await domains.create(domain);
  const status = (await domains.monitorCommand(domain, { execute: 'query-status' })) as { running: boolean };
  assert.equal(status.running, true);
  assert.match(await domains.humanMonitorCommand(domain, 'info version'), /^\d+\.\d+/);
  assert.ok((await domains.messages(domain)).some((message) => message.includes('monitor')));
  await domains.sendKey(domain, [30, 31]);
  await domains.injectNmi(domain);
  await domains.destroy(domain);
});

test('a guest agent that is not there is a typed error', async () => {
  const { domains } = connection;
  const domain = await define("<channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>");
  await domains.create(domain);
  await assert.rejects(domains.agentCommand(domain, { execute: 'guest-ping' }), (error) => {
    assert.ok(error instanceof LibvirtError);
    assert.equal(error.code, 'AGENT_UNRESPONSIVE');
    assert.equal(error.domain, 'QEMU');
    return true;
  });
  assert.deepEqual(await domains.interfaceAddresses(domain), []);
  await domains.destroy(domain);
});

test('a managed save is kept and continued', async () => {
  const { domains } = connection;
  const domain = await define();
  await domains.create(domain);
  await domains.managedSave(domain);
  assert.deepEqual(await domains.state(domain), { state: 'off', reason: 'saved' });
  assert.equal(await domains.hasManagedSave(domain), true);
  await domains.create(domain);
  assert.deepEqual(await domains.state(domain), { state: 'running', reason: 'restored' });
  await domains.destroy(domain);
});
