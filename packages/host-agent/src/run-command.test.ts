import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CommandFailed, runCommand } from './run-command.ts';

test('arguments reach the program as they are', async () => {
  assert.equal(await runCommand('printf', ['%s|', 'a b', '$(id)', '*', "'"]), "a b|$(id)|*|'|");
});

test('a program that fails tells its code and what it said, and runs in English', async () => {
  await assert.rejects(runCommand('sh', ['-c', 'echo no: $LC_ALL >&2; exit 3']), (error) => {
    assert.ok(error instanceof CommandFailed);
    assert.deepEqual([error.exitCode, error.stderr], [3, 'no: C.UTF-8\n']);
    return true;
  });
});

test('a program that takes too long is ended', async () => {
  const error = await runCommand('sleep', ['60'], { timeoutMs: 50 }).catch((reason: unknown) => reason);
  assert.ok(error instanceof CommandFailed && error.exitCode === null, String(error));
});

test('a program that is not installed is named, with its package', async () => {
  await assert.rejects(runCommand('virga-no-such-program', [], { package: 'no-such' }), {
    code: 'HostUnavailable',
    action: 'Install it: apt-get install no-such',
  });
});

test('an abort ends the program with the reason of the signal', async () => {
  const abort = new AbortController();
  const running = runCommand('sleep', ['60'], { signal: abort.signal });
  const reason = new Error('no longer wanted');
  abort.abort(reason);
  await assert.rejects(running, reason);
});

test('nothing of our environment reaches the program but where programs are', async () => {
  process.env.VIRGA_TEST_LEAK = 'secret';
  try {
    assert.doesNotMatch(await runCommand('env', []), /secret/);
  } finally {
    delete process.env.VIRGA_TEST_LEAK;
  }
});
