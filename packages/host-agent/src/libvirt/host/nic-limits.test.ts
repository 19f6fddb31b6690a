import assert from 'node:assert/strict';
import { test } from 'node:test';
import { pino } from 'pino';
import { runCommand } from '../../run-command.ts';
import { NicLimitsProbe } from './nic-limits.ts';

const silent = pino({ level: 'silent' });

/** Whether the kernel takes a discipline on a device of ours. */
async function takes(...discipline: string[]): Promise<boolean> {
  const device = 'vtest0';
  await runCommand('ip', ['tuntap', 'add', 'dev', device, 'mode', 'tap']);
  try {
    await runCommand('tc', ['qdisc', 'add', 'dev', device, ...discipline]);
    return true;
  } catch {
    return false;
  } finally {
    await runCommand('ip', ['link', 'delete', 'dev', device]);
  }
}

test('a host can limit cards when its kernel takes what that needs; nothing of the try stays', async (t) => {
  const kernel = [await takes('root', 'htb'), await takes('root', 'sfq'), await takes('ingress')];
  const probe = new NicLimitsProbe(silent);
  const answers = await Promise.all([probe.canLimit(), probe.canLimit()]);
  t.diagnostic(`htb, sfq, ingress: ${kernel.join(', ')}`);
  assert.deepEqual(answers, [kernel.every(Boolean), kernel.every(Boolean)]);
  assert.doesNotMatch(await runCommand('ip', ['-o', 'link']), /vprobe/);
});
