// Calls that fail at any step: for good, and then nothing of them stays; or by an interruption, and then the next call
// goes on.
import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import type { DesiredInstance } from '@virga/contract/agent/desired';
import { VirgaError } from '@virga/contract/errors';
import { type ContractTest, rejectsWith } from './contract-test.ts';
import type { ContractWorld } from './contract-world.ts';

const refused = new VirgaError('HypervisorRefused', { detail: 'A test fails this step.', action: 'Nothing.' });
const interrupted = new VirgaError('HostUnavailable', { detail: 'A test interrupts here.', action: 'Nothing.' });

export function failureContract(test: ContractTest): void {
  test('a launch that fails for good is undone, whichever step fails', async (world, t) => {
    const steps = await stepsOfLaunch(world, t);
    await eachStep(world, t, steps, async (desired, step) => {
      failAt(world, desired, step, refused);
      await rejectsWith('HypervisorRefused', world.agent.applyInstance(desired));
      assert.equal(await world.observed(desired), undefined, `after ${step} failed`);
      assert.equal(await world.leasedAddress(desired), undefined, `after ${step} failed`);
    });
  });

  test('what was there before a call that fails for good is there afterwards', async (world, t) => {
    const desired = await world.launched(t);
    await world.harness.virsh.destroy(desired);
    failAt(world, desired, 'start', refused);
    await rejectsWith('HypervisorRefused', world.agent.applyInstance(desired));
    const observed = await world.observed(desired);
    assert.deepEqual([observed?.state, observed?.intact], ['stopped', true]);
    assert.equal(await world.leasedAddress(desired), desired.nics[0]?.address);
    world.onStep(desired.id, () => undefined);
    await world.agent.applyInstance(desired);
    await world.booted(desired, 2);
  });

  test('a launch that was interrupted is listed as far as it got, and goes on, also in a new process', async (world, t) => {
    const steps = await stepsOfLaunch(world, t);
    const restarted = await world.harness.reopen();
    t.after(() => restarted.close());
    await eachStep(world, t, steps, async (desired, step) => {
      failAt(world, desired, step, interrupted);
      await rejectsWith('HostUnavailable', world.agent.applyInstance(desired));
      const left = await world.observed(desired, restarted);
      assert.ok(
        left === undefined ||
          ['stopped', 'running'].includes(left.state) ||
          (left.state === 'absent' && left.leftovers),
        `before ${step}: ${JSON.stringify(left)}`,
      );
      world.onStep(desired.id, () => undefined);
      const observed = await restarted.applyInstance(desired);
      assert.deepEqual([observed.state, observed.intact, observed.leftovers], ['running', true, false], step);
      await world.booted(desired, 1);
    });
  });

  test('a launch that was interrupted can be deleted, and nothing stays', async (world, t) => {
    const steps = await stepsOfLaunch(world, t);
    await eachStep(world, t, steps, async (desired, step) => {
      failAt(world, desired, step, interrupted);
      await rejectsWith('HostUnavailable', world.agent.applyInstance(desired));
      world.onStep(desired.id, () => undefined);
      await world.agent.deleteInstance(desired);
      assert.equal(await world.observed(desired), undefined, `after an end before ${step}`);
      assert.equal(await world.leasedAddress(desired), undefined, `after an end before ${step}`);
    });
  });

  test('a deletion that was interrupted goes on, whichever step it was at', async (world, t) => {
    const first = await world.launched(t);
    const steps = await recordSteps(world, first, () => world.agent.deleteInstance(first));
    assert.ok(steps.length >= 3, steps.join());
    await eachStep(world, t, steps, async (desired, step) => {
      await world.agent.applyInstance(desired);
      failAt(world, desired, step, interrupted);
      await rejectsWith('HostUnavailable', world.agent.deleteInstance(desired));
      world.onStep(desired.id, () => undefined);
      await world.agent.deleteInstance(desired);
      assert.equal(await world.observed(desired), undefined, `after an end before ${step}`);
      assert.equal(await world.leasedAddress(desired), undefined, `after an end before ${step}`);
    });
  });

  test('a call that is aborted ends with the reason of its signal, and can be made again', async (world, t) => {
    const desired = world.instance(t);
    const abort = new AbortController();
    const reason = new Error('no longer wanted');
    world.onStep(desired.id, () => abort.abort(reason));
    await assert.rejects(world.agent.applyInstance(desired, { signal: abort.signal }), reason);
    world.onStep(desired.id, () => undefined);
    assert.equal((await world.agent.applyInstance(desired)).state, 'running');
  });
}

function failAt(world: ContractWorld, { id }: DesiredInstance, step: string, error: Error): void {
  world.onStep(id, (at) => {
    if (at === step) throw error;
  });
}

async function recordSteps(
  world: ContractWorld,
  { id }: DesiredInstance,
  work: () => Promise<unknown>,
): Promise<string[]> {
  const steps: string[] = [];
  world.onStep(id, (step) => {
    steps.push(step);
  });
  await work();
  return [...new Set(steps)];
}

async function stepsOfLaunch(world: ContractWorld, t: TestContext): Promise<string[]> {
  const desired = world.instance(t);
  const steps = await recordSteps(world, desired, () => world.agent.applyInstance(desired));
  for (const step of ['folder', 'root-disk', 'seed', 'lease', 'define', 'start']) assert.ok(steps.includes(step), step);
  return steps;
}

/** Does the work with an instance of its own for each step, all at once. */
async function eachStep(
  world: ContractWorld,
  t: TestContext,
  steps: readonly string[],
  work: (desired: DesiredInstance, step: string) => Promise<void>,
): Promise<void> {
  await Promise.all(steps.map((step) => work(world.instance(t), step)));
}
