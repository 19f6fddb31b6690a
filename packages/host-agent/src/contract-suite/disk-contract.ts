// The disks of the host, and how disks of guests are driven: every cache mode with every way of asynchronous I/O that the host
// takes, threads of their own, and the refusals, all of which come before anything is there.
import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { deviceKey, HostDisks } from '@virga/contract/agent/block-devices';
import { conforms } from '@virga/contract/agent/conforms';
import type { DesiredInstance, DiskDriver } from '@virga/contract/agent/desired';
import { type ErrorCode, VirgaError } from '@virga/contract/errors';
import type { ContractTest } from './contract-test.ts';
import { type ContractWorld, stopped } from './contract-world.ts';
import { aVolume } from './volume-contract.ts';

const places = 'cdefghijklmnop';

/** Every pair that makes sense; `unsafe` only for what may be lost. */
const pairs: DiskDriver[] = [
  ...(['none', 'directsync'] as const).flatMap((cache) => [
    { cache, aio: 'native' as const },
    { cache, aio: 'threads' as const },
    { cache, aio: 'io_uring' as const },
  ]),
  ...(['writethrough', 'writeback', 'unsafe'] as const).flatMap((cache) => [
    { cache, aio: 'threads' as const },
    { cache, aio: 'io_uring' as const },
  ]),
];

const withRoot = (desired: DesiredInstance, driver: DiskDriver): DesiredInstance => ({
  ...desired,
  rootDisk: { ...desired.rootDisk, driver },
});

const next = (desired: DesiredInstance, changes: Partial<DesiredInstance>): DesiredInstance => ({
  ...desired,
  ...changes,
  generation: desired.generation + 1,
});

export function diskContract(test: ContractTest): void {
  const keysOf = async ({ agent }: ContractWorld) => (await agent.facts()).storageDevices.map(deviceKey);
  const xmlOf = ({ agent }: ContractWorld, { id }: DesiredInstance) => agent.domainXml(id);
  const volumeOn = async (world: ContractWorld, t: TestContext, scratch = false) => {
    const volume = aVolume(world, t, scratch ? { scratch } : {});
    await world.agent.applyVolume(volume);
    return volume;
  };
  /** Nothing of it is there afterwards. */
  const refused = async (world: ContractWorld, desired: DesiredInstance, code: ErrorCode, field: string) => {
    const error = await world.agent.applyInstance(desired).then(
      () => assert.fail('it was not refused'),
      (thrown: unknown) => thrown,
    );
    assert.ok(error instanceof VirgaError, String(error));
    assert.deepEqual([error.code, error.field], [code, field], error.message);
    assert.equal(await world.observed(desired), undefined);
    return error;
  };

  test('tells its disks, and which of them the storage lies on, the same as in its facts', async ({ agent }) => {
    const found = await agent.hostDisks();
    assert.ok(conforms(HostDisks, found), JSON.stringify(found));
    const { storageDevices } = await agent.facts();
    assert.deepEqual(
      storageDevices.map(({ name, verdict }) => [name, verdict]),
      found.disks
        .filter(({ name }) => found.storage.devices.includes(name))
        .map(({ name, protection }) => [name, protection.verdict]),
    );
    assert.equal(storageDevices.length === 0, found.storage.why !== null);
  });

  test('a guest starts with every cache mode and way of I/O that the host takes, each with a thread of its own', async (world, t) => {
    const { diskAbilities } = await world.agent.facts();
    const taken = pairs
      .filter(({ aio }) => aio !== 'io_uring' || diskAbilities.ioUring)
      .filter(({ cache }) => (cache !== 'none' && cache !== 'directsync') || diskAbilities.directIo);
    const base = world.instance(t);
    const volumes = [];
    for (const [index, driver] of taken.entries()) {
      const { id } = await volumeOn(world, t, driver.cache === 'unsafe');
      volumes.push({ id, target: `vd${places[index]}`, readOnly: false, driver: { ...driver, ioThread: true } });
    }
    const driver = { cache: 'writeback', aio: 'threads', discard: 'ignore', ioThread: true } as const;
    const volatileWriteback = await keysOf(world);
    const desired = await world.launched(t, withRoot({ ...base, volumes, volatileWriteback }, driver));
    const xml = await xmlOf(world, desired);
    for (const { cache, aio } of taken) {
      assert.match(xml, new RegExp(`<driver [^>]*cache='${cache}' io='${aio}' discard='unmap' iothread=`));
    }
    assert.match(xml, /cache='writeback' io='threads' discard='ignore' iothread='1'/);
    assert.match(xml, new RegExp(`<iothreads>${taken.length + 1}</iothreads>`));
    assert.equal((await world.agent.findDrifts(world.cloudId)).length, 0, 'nobody has changed anything');
  });

  test('what does not go together is refused, and nothing of it is there', async (world, t) => {
    const base = world.instance(t);
    const cache = withRoot(base, { cache: 'writethrough', aio: 'native' });
    await refused(world, cache, 'InvalidArgument', '/rootDisk/driver/aio');
    const emulated = withRoot({ ...base, hardware: 'emulated' }, { ioThread: true });
    await refused(world, emulated, 'InvalidArgument', '/rootDisk/driver/ioThread');
    await refused(world, withRoot(base, { cache: 'unsafe' }), 'InvalidArgument', '/rootDisk/driver/cache');
    const { id } = await volumeOn(world, t);
    const volumes = [{ id, target: 'vdc', readOnly: false, driver: { cache: 'unsafe' as const } }];
    await refused(world, { ...base, volumes }, 'InvalidArgument', '/volumes/0/driver/cache');
  });

  test('write-back is refused where a power cut could take acknowledged data back, unless the device was allowed by name', async (world, t) => {
    const risky = (await world.agent.facts()).storageDevices.find(({ allowsWriteback }) => !allowsWriteback);
    if (risky === undefined) return t.skip('nothing under the storage of this host is known to be volatile');
    const desired = withRoot(world.instance(t), { cache: 'writeback' });
    const error = await refused(world, desired, 'VolatileWriteCache', '/rootDisk/driver/cache');
    assert.ok(error.detail.includes(risky.name) && error.detail.includes('write'), error.detail);
    assert.match(error.action, /none, writethrough or directsync.*allow-volatile-writeback/);
    await refused(
      world,
      { ...desired, volatileWriteback: ['another'] },
      'VolatileWriteCache',
      '/rootDisk/driver/cache',
    );
    await world.launched(t, { ...desired, volatileWriteback: await keysOf(world) });
  });

  test('a volume is refused its driver when it would be plugged in, and the guest goes on', async (world, t) => {
    const desired = await world.launched(t);
    const { id } = await volumeOn(world, t);
    const driver = { cache: 'unsafe' as const };
    const full = next(desired, { volumes: [{ id, target: 'vdc', readOnly: false, driver }] });
    await assert.rejects(world.agent.applyInstance(full), { code: 'InvalidArgument' });
    assert.doesNotMatch(await xmlOf(world, desired), /'vdc'/);
    assert.equal(await world.bootCount(desired), 1);
  });

  test('a scratch volume may be unsafe, is told as such, and is plugged with its own thread, which goes with it', async (world, t) => {
    const desired = await world.launched(t);
    const volume = await volumeOn(world, t, true);
    assert.equal((await world.agent.listVolumes(world.cloudId)).find(({ id }) => id === volume.id)?.scratch, true);
    const driver = { cache: 'unsafe', ioThread: true } as const;
    const full = next(desired, { volumes: [{ id: volume.id, target: 'vdc', readOnly: false, driver }] });
    for (let call = 0; call < 2; call++) await world.agent.applyInstance(full);
    assert.match(await xmlOf(world, full), /cache='unsafe' io='threads' discard='unmap' iothread='3'/);
    assert.match(await xmlOf(world, full), /<iothread id='3'\/>/);
    assert.deepEqual(await world.agent.findDrifts(world.cloudId), []);
    const empty = next(full, { volumes: [] });
    await world.agent.applyInstance(empty);
    assert.doesNotMatch(await xmlOf(world, empty), /<iothread|iothread='/);
    assert.equal(await world.bootCount(desired), 1);
  });

  test('a driver that is changed while the guest runs is that of its next start, which is said', async (world, t) => {
    const desired = await world.launched(t);
    const changed = next(withRoot(desired, { cache: 'directsync', aio: 'threads' }), {});
    const { notes } = await world.agent.applyInstance(changed);
    assert.match(notes?.join() ?? '', /driver of the root disk changes when the instance is started next/);
    assert.doesNotMatch(await xmlOf(world, desired), /cache='directsync'/);
    assert.equal((await world.agent.applyInstance(changed)).notes, undefined);
    await world.agent.applyInstance(stopped(changed, -1));
    await world.agent.applyInstance({ ...changed, generation: changed.generation + 2 });
    await world.booted(desired, 2);
    assert.match(await xmlOf(world, desired), /cache='directsync' io='threads'/);
  });

  test('a call that is interrupted at add-thread is gone on with by the next agent', async (world, t) => {
    const desired = await world.launched(t);
    const { id } = await volumeOn(world, t);
    const full = next(desired, { volumes: [{ id, target: 'vdd', readOnly: false, driver: { ioThread: true } }] });
    for (const step of ['add-thread', 'attach-volume']) {
      world.onStep(desired.id, (name) => {
        if (name === step) throw new Error('interrupted');
      });
      await assert.rejects(world.agent.applyInstance(full), /interrupted/);
    }
    world.onStep(desired.id, () => undefined);
    const restarted = await world.harness.reopen();
    t.after(() => restarted.close());
    await restarted.applyInstance(full);
    assert.match(await xmlOf(world, full), /iothread='4'/);
    assert.equal(await world.bootCount(desired), 1);
  });
}
