// The name of a domain: changed when it is off, kept until then, and brought back when somebody else changed it.
import assert from 'node:assert/strict';
import type { DesiredInstance } from '@virga/contract/agent/desired';
import { VirgaError } from '@virga/contract/errors';
import { type ContractTest, rejectsWith } from './contract-test.ts';
import { stopped } from './contract-world.ts';

export function renameContract(test: ContractTest): void {
  test('a domain that is off gets the name that is desired', async (world, t) => {
    const off = stopped(world.instance(t));
    await world.agent.applyInstance(off);
    const renamed = rename(off);
    const observed = await world.agent.applyInstance(renamed);
    assert.deepEqual([observed.state, observed.domainName, observed.intact], ['stopped', renamed.domainName, true]);
    const started = { ...renamed, generation: renamed.generation + 1, power: { state: 'running' as const } };
    assert.equal((await world.agent.applyInstance(started)).domainName, renamed.domainName);
    await world.booted(started, 1);
  });

  test('a domain that is on keeps its name until it is off', async (world, t) => {
    const desired = await world.launched(t);
    const renamed = rename(desired);
    const observed = await world.agent.applyInstance(renamed);
    assert.deepEqual([observed.state, observed.domainName], ['running', desired.domainName]);
    assert.equal((await world.observed(desired))?.domainName, desired.domainName);
    const off = await world.agent.applyInstance(stopped(renamed, -1));
    assert.deepEqual([off.state, off.domainName], ['stopped', renamed.domainName]);
    assert.equal(await world.bootCount(desired), 1);
  });

  test('a power cycle brings the name that is desired', async (world, t) => {
    const desired = await world.launched(t);
    const renamed = rename(desired);
    const reboot = { token: 'cycle', how: 'cycle' as const, forceAt: new Date(Date.now() - 1).toISOString() };
    const observed = await world.agent.applyInstance({ ...renamed, reboot });
    assert.deepEqual([observed.state, observed.domainName], ['running', renamed.domainName]);
    await world.booted(desired, 2);
  });

  test('a hibernated domain keeps its name until it has been woken and is off', async (world, t) => {
    const desired = await world.launched(t);
    await world.agent.applyInstance({ ...desired, generation: 2, power: { state: 'hibernated' } });
    const renamed = { ...rename(desired), generation: 3 };
    const kept = await world.agent.applyInstance({ ...renamed, power: { state: 'hibernated' } });
    assert.deepEqual([kept.state, kept.domainName], ['hibernated', desired.domainName]);
    const woken = await world.agent.applyInstance({ ...renamed, generation: 4 });
    assert.deepEqual([woken.state, woken.domainName], ['running', desired.domainName]);
    const off = await world.agent.applyInstance({ ...stopped(renamed, -1), generation: 5 });
    assert.deepEqual([off.state, off.domainName], ['stopped', renamed.domainName]);
    assert.equal(await world.bootCount(desired), 1);
  });

  test('virsh domrename is seen, and taken back', async (world, t) => {
    const off = stopped(world.instance(t));
    await world.agent.applyInstance(off);
    const other = `${off.domainName}-other`;
    await world.harness.virsh.rename(off, other);
    assert.equal((await world.observed(off))?.domainName, other);
    const observed = await world.agent.applyInstance(off);
    assert.deepEqual([observed.state, observed.domainName, observed.intact], ['stopped', off.domainName, true]);
  });

  test('a name that somebody else has is refused, and the domain keeps its own', async (world, t) => {
    const off = stopped(world.instance(t));
    await world.agent.applyInstance(off);
    const renamed = rename(off);
    await world.harness.virsh.defineForeign(renamed.domainName);
    t.after(() => world.harness.virsh.undefineForeign(renamed.domainName));
    await rejectsWith('Conflict', world.agent.applyInstance(renamed));
    assert.equal((await world.observed(off))?.domainName, off.domainName);
  });

  test('a renaming is taken back with the call that it was part of', async (world, t) => {
    const off = stopped(world.instance(t));
    await world.agent.applyInstance(off);
    world.onStep(off.id, (step) => {
      if (step === 'start')
        throw new VirgaError('HypervisorRefused', { detail: 'A test fails this step.', action: 'Nothing.' });
    });
    await rejectsWith('HypervisorRefused', world.agent.applyInstance({ ...rename(off), power: { state: 'running' } }));
    assert.equal((await world.observed(off))?.domainName, off.domainName);
  });
}

const rename = (desired: DesiredInstance): DesiredInstance => ({
  ...desired,
  generation: desired.generation + 1,
  domainName: `${desired.domainName}-renamed`,
});
