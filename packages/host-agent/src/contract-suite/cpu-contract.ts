// Where the threads of guests run: on CPUs of their own, on those that are shared, in one node; changed while they run, and
// told as the kernel of the host has it. The host has at least two CPUs.
import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { formatCpuList } from '@virga/contract/agent/cpu-list';
import type { CpuDrift, DesiredCpuPools, GuestThreads } from '@virga/contract/agent/cpu-map';
import type { CpuTuning, DesiredInstance } from '@virga/contract/agent/desired';
import { instanceDefaults } from '@virga/contract/agent/desired';
import { VirgaError } from '@virga/contract/errors';
import type { ContractTest } from './contract-test.ts';
import { type ContractWorld, stopped } from './contract-world.ts';

const whole: DesiredCpuPools = { reserved: [], dedicated: [], guestModel: null };
const sampleMs = 50;

export function cpuContract(test: ContractTest): void {
  test('a dedicated vCPU runs on its CPU and QEMU on the others, and both move while the guest runs', async (world, t) => {
    const [first, second, all] = await cpusOf(world);
    await divide(world, t, { ...whole, dedicated: [second] });
    const desired = await world.launched(t, world.instance(t, { cpu: dedicated(second) }));
    const others = all.filter((cpu) => cpu !== second);
    assert.deepEqual(await placesOf(world, desired), { vcpus: [[second]], emulator: others });

    await divide(world, t, { ...whole, dedicated: [first] });
    const moved = { ...desired, generation: 2, cpu: dedicated(first) };
    await world.agent.applyInstance(moved);
    const elsewhere = all.filter((cpu) => cpu !== first);
    assert.deepEqual(await placesOf(world, desired), { vcpus: [[first]], emulator: elsewhere });

    await divide(world, t, whole);
    await world.agent.applyInstance({ ...desired, generation: 3, cpu: instanceDefaults.cpu as unknown as CpuTuning });
    assert.deepEqual(await placesOf(world, desired), { vcpus: [all], emulator: all });
    assert.equal(await world.bootCount(desired), 1);
    assert.deepEqual(await world.agent.findDrifts(world.cloudId), []);
  });

  test('what a guest has for itself it has again when it is started, also by an agent that knows nothing', async (world, t) => {
    const [, second, all] = await cpusOf(world);
    await divide(world, t, { ...whole, dedicated: [second] });
    const desired = await world.launched(t, world.instance(t, { cpu: dedicated(second) }));
    await world.converge(stopped(desired, -1), 'stopped');
    const restarted = await world.harness.reopen();
    t.after(() => restarted.close());
    await restarted.applyInstance({ ...desired, generation: 3 });
    await world.booted(desired, 2);
    const others = all.filter((cpu) => cpu !== second);
    assert.deepEqual(await placesOf(world, desired), { vcpus: [[second]], emulator: others });
  });

  test('guests that share leave what is reserved or dedicated while they run, and come back to it', async (world, t) => {
    const [first, second, all] = await cpusOf(world);
    const desired = await world.launched(t);
    const before = await world.agent.definition(desired.id);
    await divide(world, t, { ...whole, dedicated: [second] });
    const others = all.filter((cpu) => cpu !== second);
    assert.deepEqual(await placesOf(world, desired), { vcpus: [others], emulator: others });
    // What QEMU does besides may be done where the host works for itself.
    await divide(world, t, { ...whole, reserved: [first] });
    const unreserved = all.filter((cpu) => cpu !== first);
    assert.deepEqual(await placesOf(world, desired), { vcpus: [unreserved], emulator: all });
    const later = await world.launched(t);
    assert.deepEqual(await placesOf(world, later), { vcpus: [unreserved], emulator: all });
    await divide(world, t, whole);
    assert.deepEqual(await placesOf(world, desired), { vcpus: [all], emulator: all });
    assert.deepEqual(await placesOf(world, later), { vcpus: [all], emulator: all });
    assert.equal(await world.bootCount(desired), 1);
    assert.equal((await world.agent.definition(desired.id)).effective, before.effective);
    assert.deepEqual(await world.agent.findDrifts(world.cloudId), []);
  });

  test('keeps a guest that asked for a node there, with its memory, and says when memory follows later', async (world, t) => {
    const { cpus, numaNodes } = await world.agent.facts();
    const node = numaNodes[0]!.id;
    const there = cpus.filter((cpu) => cpu.node === node).map(({ id }) => id);
    const bound = /<numatune>\s*<memory mode='strict' nodeset='(\d+)'\/>/;
    const desired = await world.launched(t, world.instance(t, { cpu: { ...shared, policy: 'numa', node } }));
    assert.equal(bound.exec(await world.agent.domainXml(desired.id))?.[1], String(node));
    assert.deepEqual(await placesOf(world, desired), { vcpus: [there], emulator: there });
    const other = await world.launched(t);
    const { notes } = await world.agent.applyInstance({
      ...other,
      generation: 2,
      cpu: { ...shared, policy: 'numa', node },
    });
    assert.match(notes?.join(' ') ?? '', /memory stays/);
    assert.deepEqual(await placesOf(world, other), { vcpus: [there], emulator: there });
  });

  test('a guest that is woken runs where it may now, wherever it was when its memory was saved', async (world, t) => {
    const [first, second, all] = await cpusOf(world);
    await divide(world, t, { ...whole, dedicated: [second] });
    const desired = await world.launched(t, world.instance(t, { cpu: dedicated(second) }));
    await world.converge({ ...desired, generation: 2, power: { state: 'hibernated' } }, 'hibernated');
    await divide(world, t, { ...whole, dedicated: [first] });
    const woken = { ...desired, generation: 3, cpu: { ...dedicated(first), capPercent: 70 } };
    assert.equal((await world.agent.applyInstance(woken)).state, 'running');
    const others = all.filter((cpu) => cpu !== first);
    assert.deepEqual(await placesOf(world, desired), { vcpus: [[first]], emulator: others });
    assert.match(await world.agent.domainXml(desired.id), /<quota>70000</);
    assert.equal(await world.bootCount(desired), 1);
  });

  test('goes on with moving guests that was cut short', async (world, t) => {
    const [, second, all] = await cpusOf(world);
    const desired = await world.launched(t);
    const pools = { ...whole, dedicated: [second] };
    t.after(() => world.agent.applyCpuPools(world.cloudId, whole));
    for (const [step, id] of [
      ['cpu-pools', world.cloudId],
      ['pin', desired.id],
    ] as const) {
      world.onStep(id, (name) => {
        if (name === step) throw interrupted();
      });
      await world.agent.applyCpuPools(world.cloudId, pools).catch((error: unknown) => {
        assert.equal((error as VirgaError).code, 'HostUnavailable');
      });
      world.onStep(id, () => undefined);
    }
    const restarted = await world.harness.reopen();
    t.after(() => restarted.close());
    await restarted.applyCpuPools(world.cloudId, pools);
    const others = all.filter((cpu) => cpu !== second);
    assert.deepEqual(await placesOf(world, desired), { vcpus: [others], emulator: others });
  });

  test('weighs and caps a guest when it starts, otherwise while it runs, and no longer', async (world, t) => {
    const cpu = { ...shared, shares: 200, capPercent: 50 };
    const desired = await world.launched(t, world.instance(t, { cpu }));
    const { features } = await world.agent.facts();
    assert.ok(features.includes('cpu-limits'));
    const tuned = async () => {
      const xml = await world.agent.domainXml(desired.id);
      const number = (name: string) => Number(new RegExp(`<${name}>(-?\\d+)<`).exec(xml)?.[1] ?? 0);
      return { shares: number('shares'), cap: Math.max(0, number('quota')) / (number('period') || 1) };
    };
    const first = await tuned();
    assert.equal(first.cap, 0.5);
    await world.agent.applyInstance({ ...desired, generation: 2, cpu: { ...cpu, shares: 400, capPercent: 20 } });
    const second = await tuned();
    assert.deepEqual(second, { shares: 2 * first.shares, cap: 0.2 });
    await world.agent.applyInstance({ ...desired, generation: 3, cpu: shared });
    const third = await tuned();
    assert.equal(third.cap, 0);
    assert.ok(third.shares === 0 || third.shares * 2 === first.shares, 'what every guest has');
    assert.equal(await world.bootCount(desired), 1);
  });

  test('what somebody makes of where a guest runs, or of its weight, is set right and told once', async (world, t) => {
    const { agent, cloudId, harness } = world;
    const [first, second, all] = await cpusOf(world);
    await divide(world, t, { ...whole, dedicated: [second] });
    const own = await world.launched(t, world.instance(t, { cpu: dedicated(second) }));
    const other = await world.launched(t, world.instance(t, { cpu: { ...shared, shares: 200 } }));
    assert.deepEqual(await agent.keepCpus(cloudId), [], 'nobody has changed anything');
    const isTold = (found: CpuDrift[], { id }: DesiredInstance, ...patterns: RegExp[]) => {
      const changes = found.find((drift) => drift.id === id)?.changes.join('; ') ?? '';
      for (const pattern of patterns) assert.match(changes, pattern);
    };
    const others = all.filter((cpu) => cpu !== second);

    await harness.virsh.pin(own, first);
    await harness.virsh.pin(other, second);
    assert.deepEqual((await placesOf(world, other)).vcpus, [[second]]);
    const moved = await agent.keepCpus(cloudId);
    assert.equal(moved.length, 2);
    isTold(moved, own, new RegExp(`vCPU 0 could run on CPU ${first} instead of ${second}`));
    isTold(moved, other, new RegExp(`vCPU 0 could run on CPU ${second} instead of ${formatCpuList(others)}`));
    assert.deepEqual(await placesOf(world, own), { vcpus: [[second]], emulator: others });
    assert.deepEqual(await placesOf(world, other), { vcpus: [others], emulator: others });

    await harness.virsh.weigh(other, 30);
    const weighed = await agent.keepCpus(cloudId);
    isTold(weighed, other, /had [36]00 shares instead of 200/, /capped at 30 % instead of not at all/);
    assert.equal(weighed.length, 1);
    assert.deepEqual(await agent.keepCpus(cloudId), []);
    assert.doesNotMatch(await agent.domainXml(other.id), /<quota>30000/);
    assert.deepEqual([await world.bootCount(own), await world.bootCount(other)], [1, 1]);
  });

  test('tells each thread of a guest, and each CPU', async (world, t) => {
    const desired = await world.launched(t, world.instance(t, { vcpus: 2 }));
    const map = await world.agent.cpuMap(sampleMs);
    const { cpus } = await world.agent.facts();
    assert.deepEqual(
      map.cpus.map(({ id }) => id),
      cpus.map(({ id }) => id),
    );
    const guest = guestOf(map.guests, desired);
    assert.equal(guest.domainName, desired.domainName);
    const vcpus = guest.threads.filter(({ kind }) => kind === 'vcpu');
    assert.deepEqual(
      vcpus.map(({ index }) => index),
      [0, 1],
    );
    for (const thread of guest.threads) {
      assert.ok(thread.allowedCpus.includes(thread.lastCpu), JSON.stringify(thread));
      assert.ok(thread.busyPercent >= 0 && thread.busyPercent <= 100);
    }
    assert.equal(guest.threads.find(({ tid }) => tid === guest.pid)?.kind, 'emulator');
  });

  test('gives guests a CPU model that several hosts could give, as of their next start', async (world, t) => {
    const cpu = await world.agent.guestCpu();
    const model = await world.agent.baselineCpu([cpu, cpu]);
    assert.match(model.name, /^\S+$/);
    assert.equal(await world.agent.canGiveCpu(model), true);
    const other = { name: 'no-such-model', vendor: null, features: [] };
    assert.equal(await world.agent.canGiveCpu(other), false);
    await divide(world, t, { ...whole, guestModel: model });
    const desired = await world.launched(t);
    assert.ok((await world.agent.domainXml(desired.id)).includes(`>${model.name}</model>`));
    await divide(world, t, whole);
    await world.converge(stopped(desired, -1), 'stopped');
    await world.agent.applyInstance({ ...desired, generation: 3 });
    assert.ok(!(await world.agent.domainXml(desired.id)).includes(`>${model.name}</model>`));
  });
}

const shared: CpuTuning = { policy: 'shared', hostCpus: [], node: null, shares: null, capPercent: null };
const dedicated = (...hostCpus: number[]): CpuTuning => ({ ...shared, policy: 'dedicated', hostCpus });

async function cpusOf({ agent }: ContractWorld): Promise<[first: number, second: number, all: number[]]> {
  const all = (await agent.facts()).cpus.map(({ id }) => id);
  const [first, second] = all;
  assert.ok(first !== undefined && second !== undefined, 'the host has one CPU, and this needs two');
  return [first, second, all];
}

/** As long as the test lasts. */
async function divide(world: ContractWorld, t: TestContext, pools: DesiredCpuPools): Promise<void> {
  if (pools !== whole) t.after(() => world.agent.applyCpuPools(world.cloudId, whole));
  await world.agent.applyCpuPools(world.cloudId, pools);
}

/** Where the kernel lets the threads of a guest run. */
async function placesOf({ agent }: ContractWorld, desired: DesiredInstance) {
  const { threads } = guestOf((await agent.cpuMap(sampleMs)).guests, desired);
  const vcpus = threads.filter(({ kind }) => kind === 'vcpu').map(({ allowedCpus }) => allowedCpus);
  const emulators = threads.filter(({ kind }) => kind === 'emulator').map(({ allowedCpus }) => allowedCpus);
  for (const allowed of emulators) assert.deepEqual(allowed, emulators[0], 'all its threads are where the first is');
  return { vcpus, emulator: emulators[0] };
}

function guestOf(guests: readonly GuestThreads[], { id }: DesiredInstance): GuestThreads {
  const guest = guests.find(({ instanceId }) => instanceId === id);
  assert.ok(guest, `${id} is not among the guests`);
  return guest;
}

const interrupted = () =>
  new VirgaError('HostUnavailable', { detail: 'The connection was cut.', action: 'Nothing: it is tried again.' });
