// Programs that are nobody: they end with whoever began them, and with their deadline.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { eventually } from '../contract-suite/eventually.ts';
import { CommandFailed } from '../run-command.ts';
import { runAsNobody } from './sandbox.ts';

const isRunning = (command: readonly string[]): boolean =>
  readdirSync('/proc').some((pid) => {
    try {
      return /^\d+$/.test(pid) && readFileSync(`/proc/${pid}/cmdline`, 'utf8') === `${command.join('\0')}\0`;
    } catch {
      return false;
    }
  });

test('a program ends with the process that began it, however that ends', async () => {
  // A time that nobody else sleeps for.
  const sleeping = ['sleep', '618.25'];
  const module = JSON.stringify(import.meta.resolve('./sandbox.ts'));
  const script = `import(${module}).then((it) => it.runAsNobody('sleep', ['618.25'], { timeoutMs: 600_000 }))`;
  const child = spawn(process.execPath, ['--conditions=development', '--input-type=module', '-e', script]);
  await eventually('it sleeps', () => isRunning(sleeping) || undefined);
  child.kill('SIGKILL');
  await eventually('it has ended', () => !isRunning(sleeping) || undefined);
});

test('a program ends at its deadline, and its code is told', async () => {
  const sleeping = ['sleep', '619.25'];
  await assert.rejects(runAsNobody('sleep', ['619.25'], { timeoutMs: 1000 }), CommandFailed);
  await eventually('it has ended', () => !isRunning(sleeping) || undefined);
  await assert.rejects(runAsNobody('sh', ['-c', 'echo why >&2; exit 7']), { exitCode: 7, stderr: 'why\n' });
  assert.equal((await runAsNobody('sh', ['-c', 'id -u; exit 7'], { acceptedCodes: [7] })).toString(), '65534\n');
});
