// Write-back on real domains: refused where this very host's disk is not known to keep what it has acknowledged, and on a
// host whose RAID controller loses its battery while guests run.
import assert from 'node:assert/strict';
import { constants, readFileSync } from 'node:fs';
import { readdir, readFile, readlink } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { deviceKey } from '@virga/contract/agent/block-devices';
import type { DesiredInstance, DiskDriver } from '@virga/contract/agent/desired';
import { newId } from '@virga/contract/ids';
import { FakeHost, megaRaid } from '../block-devices/testing/fake-host.ts';
import { type HostSystem, realHostSystem } from '../host-system/host-system.ts';
import type { LibvirtAgentOptions } from './libvirt-agent.ts';
import { openTestHost, type TestHost } from './testing/test-host.ts';

async function open(t: TestContext, options: Partial<LibvirtAgentOptions> = {}): Promise<TestHost> {
  const host = await openTestHost(25, options);
  t.after(() => host.close());
  return host;
}

/** A machine with an empty disk that is to be cached. */
function cached(host: TestHost): DesiredInstance {
  const base = host.instance(host.network(), newId('image'), { nics: [] });
  const sizeBytes = 64 * 1024 * 1024;
  return { ...base, rootDisk: { ...base.rootDisk, imageId: null, sizeBytes, driver: { cache: 'writeback' } } };
}

/** What QEMU has really done: how it opened the root disk, and which threads and queues it made. */
async function opened(host: TestHost, { domainName, id }: DesiredInstance) {
  const pid = (await readFile(`/run/libvirt/qemu/${domainName}.pid`, 'utf8')).trim();
  const root = join(host.storagePath, 'instances', id, 'root.qcow2');
  const open = await Promise.all(
    (await readdir(`/proc/${pid}/fd`)).map(async (fd) => ({
      file: await readlink(`/proc/${pid}/fd/${fd}`).catch(() => ''),
      flags: /flags:\s+(\d+)/.exec(await readFile(`/proc/${pid}/fdinfo/${fd}`, 'utf8').catch(() => ''))?.[1] ?? '0',
    })),
  );
  const threads = await Promise.all(
    (await readdir(`/proc/${pid}/task`)).map((task) => readFile(`/proc/${pid}/task/${task}/comm`, 'utf8')),
  );
  const flagsOfRoot = open.filter(({ file }) => file === root).map(({ flags }) => Number.parseInt(flags, 8));
  return {
    isDirect: flagsOfRoot.length > 0 && flagsOfRoot.every((flags) => (flags & constants.O_DIRECT) !== 0),
    hasRing: open.some(({ file }) => file.includes('io_uring')),
    threads: threads.map((name) => name.trim()).filter((name) => name.startsWith('IO iothread')),
  };
}

test('QEMU really opens a disk in the way that was asked for', async (t) => {
  const host = await open(t);
  const { diskAbilities, storageDevices } = await host.agent.facts();
  if (!diskAbilities.directIo) return t.skip('the storage of this machine cannot be opened past the page cache');
  const start = async (driver: DiskDriver) => {
    const base = cached(host);
    const volatileWriteback = storageDevices.map(deviceKey);
    const desired = { ...base, rootDisk: { ...base.rootDisk, driver }, volatileWriteback };
    await host.agent.applyInstance(desired);
    const seen = await opened(host, desired);
    await host.agent.deleteInstance(desired);
    return seen;
  };
  const direct = { isDirect: true, hasRing: false, threads: [] };
  assert.deepEqual(await start({}), direct);
  assert.deepEqual(await start({ cache: 'directsync', aio: 'threads', ioThread: true }), {
    ...direct,
    threads: ['IO iothread1'],
  });
  const buffered = { ...direct, isDirect: false };
  assert.deepEqual(await start({ cache: 'writethrough' }), buffered);
  assert.deepEqual(await start({ cache: 'writeback' }), buffered);
  if (diskAbilities.ioUring) assert.deepEqual(await start({ aio: 'io_uring' }), { ...direct, hasRing: true });
});

test('io_uring is refused where QEMU cannot use it, and nothing is there then', async (t) => {
  const run: HostSystem['run'] = async (program, args, options) => {
    if (args.includes('io_uring')) throw new Error('qemu-img: Could not set AIO state: Operation not permitted');
    return realHostSystem.run(program, args, options);
  };
  const host = await open(t, { system: { ...realHostSystem, run } });
  assert.equal((await host.agent.facts()).diskAbilities.ioUring, false);
  const base = cached(host);
  const desired: DesiredInstance = { ...base, rootDisk: { ...base.rootDisk, driver: { aio: 'io_uring' } } };
  const field = '/rootDisk/driver/aio';
  await assert.rejects(host.agent.applyInstance(desired), { code: 'HostIncapable', field });
  assert.deepEqual(await readdir(join(host.storagePath, 'instances')), []);
});

const refusal = { code: 'VolatileWriteCache', field: '/rootDisk/driver/cache' };

test('on the disk of this machine, write-back needs an administrator who names it', async (t) => {
  const host = await open(t);
  const { storageDevices } = await host.agent.facts();
  const risky = storageDevices.filter(({ allowsWriteback }) => !allowsWriteback);
  if (risky.length === 0) return t.skip('the disk of this machine loses nothing');
  const desired = cached(host);
  await assert.rejects(host.agent.applyInstance(desired), refusal);
  assert.deepEqual(await readdir(join(host.storagePath, 'instances')), [], 'nothing was made');
  await host.agent.applyInstance({ ...desired, volatileWriteback: risky.map(deviceKey) });
  assert.match(await host.agent.domainXml(desired.id), /cache='writeback' io='threads'/);
});

/** This host, but for its disks: it lies on a MegaRAID whose battery is in the state that `setBattery` was told. */
function onRaid(t: TestContext): { system: HostSystem; setBattery(state: string): void } {
  const raid = new FakeHost(t);
  const program = '/opt/MegaRAID/storcli/storcli64';
  const fixture = (name: string) =>
    readFileSync(join(import.meta.dirname, '../block-devices/testing/fixtures', name), 'utf8');
  raid.disk(megaRaid());
  raid.mounts(['259:1', '/', 'ext4', '/dev/sda1']);
  raid.program(program, '/call/vall show all J nolog', fixture('storcli-drives.json'));
  const fake = raid.system;
  const isFaked = (path: string) => /^\/(sys\/(block|class\/scsi)|proc\/self\/mountinfo|opt|usr\/sbin)/.test(path);
  const from = (path: string) => (isFaked(path) ? fake : realHostSystem);
  return {
    system: {
      ...realHostSystem,
      read: (path) => from(path).read(path),
      list: (path) => from(path).list(path),
      exists: (path) => from(path).exists(path),
      link: (path) => from(path).link(path),
      run: (name, args, more) => (name === program ? fake : realHostSystem).run(name, args, more),
    },
    setBattery: (state) => {
      const controllers = fixture('storcli-controllers.json').replace('"Optimal"', `"${state}"`);
      raid.program(program, '/call show all J nolog', controllers);
    },
  };
}

test('a guest goes on when the battery of its RAID controller fails, and does not start again until that is good', async (t) => {
  const { system, setBattery } = onRaid(t);
  setBattery('Optimal');
  const host = await open(t, { system });
  const [device] = (await host.agent.facts()).storageDevices;
  assert.deepEqual([device?.name, device?.class, device?.verdict], ['sda', 'rotating', 'safe']);
  const desired = cached(host);
  await host.agent.applyInstance(desired);

  setBattery('Failed');
  const described = { ...desired, generation: 2, description: 'goes on' };
  assert.equal((await host.agent.applyInstance(described)).state, 'running');
  // Who is about to be let through looks at most a minute back; another agent knows nothing yet.
  const restarted = await host.openAgent();
  const off = { state: 'stopped', forceAt: new Date(0).toISOString() } as const;
  assert.equal((await restarted.applyInstance({ ...described, generation: 3, power: off })).state, 'stopped');
  const again = { ...described, generation: 4 };
  await assert.rejects(restarted.applyInstance(again), (error: Error) => {
    assert.match(error.message, /battery that is not good.*battery Failed/);
    return true;
  });
  setBattery('Optimal');
  assert.equal((await restarted.applyInstance(again)).state, 'running', 'it looks again before it refuses');
});
