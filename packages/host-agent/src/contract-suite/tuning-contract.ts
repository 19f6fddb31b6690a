// Tuning of the host as a whole. A real host has one kernel for all tests: only what no other test sets is set here.
import assert from 'node:assert/strict';
import type { HostAgent } from '@virga/contract/agent/agent';
import { conforms } from '@virga/contract/agent/conforms';
import { type DesiredTuning, TuningPlan } from '@virga/contract/agent/host-tuning';
import { type ContractTest, rejectsWith } from './contract-test.ts';

/** The pause between two rounds of KSM, whether it runs or not. */
const knob = 'ksmSleepMs';
const custom = (overrides: DesiredTuning['overrides']): DesiredTuning => ({ profile: 'custom', overrides });

async function seen(agent: HostAgent): Promise<string | null | undefined> {
  const { settings } = await agent.observedTuning(null);
  return settings.find((setting) => setting.knob === knob)?.now;
}

export function tuningContract(test: ContractTest): void {
  test('shows what tuning would change, makes it, keeps it over a restart of the agent, and takes it back', async ({
    harness,
    agent,
  }) => {
    const before = await seen(agent);
    const wanted = custom({ [knob]: Number(before) + 1 });
    const plan = await agent.planTuning(wanted);
    assert.ok(conforms(TuningPlan, plan), JSON.stringify(plan));
    assert.equal(await seen(agent), before, 'planning changes nothing');
    try {
      const { changes } = await agent.applyTuning(wanted);
      assert.deepEqual(changes, plan.changes);
      assert.equal(await seen(agent), String(Number(before) + 1));
      assert.deepEqual((await agent.keepTuning(wanted)).changes, []);
      const reopened = await harness.reopen();
      try {
        assert.deepEqual((await reopened.observedTuning(wanted)).changes, []);
        await reopened.applyTuning(null);
      } finally {
        await reopened.close();
      }
    } finally {
      await agent.applyTuning(null);
    }
    assert.equal(await seen(agent), before);
    assert.deepEqual((await agent.planTuning(null)).changes, []);
  });

  test('refuses by its field what the host does not have, and changes nothing then', async ({ agent }) => {
    const before = await seen(agent);
    const wanted = custom({ [knob]: 77, ioScheduler: { sdzzz: 'none' } });
    await rejectsWith('HostSettingRefused', agent.planTuning(wanted));
    await assert.rejects(agent.applyTuning(wanted), { field: '/overrides/ioScheduler/sdzzz' });
    assert.equal(await seen(agent), before);
    assert.deepEqual((await agent.planTuning(null)).changes, []);
  });
}
