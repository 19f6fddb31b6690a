import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { lockHolder, lockState } from './state-lock.ts';

function folder(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), 'state-lock-'));
  t.after(() => rmSync(path, { recursive: true }));
  return path;
}

async function otherServer(t: TestContext, stateFolder: string): Promise<ChildProcess> {
  const source = `const { lockState } = await import(${JSON.stringify(join(import.meta.dirname, 'state-lock.ts'))});
    lockState(${JSON.stringify(stateFolder)}); console.log('locked'); setInterval(() => {}, 1000);`;
  const child = spawn(process.execPath, ['--conditions=development', '--input-type=module', '--eval', source]);
  t.after(() => child.kill('SIGKILL'));
  await once(child.stdout, 'data');
  return child;
}

test('a second server on the same folder is refused, and told which process has it', async (t) => {
  const path = folder(t);
  const child = await otherServer(t, path);
  assert.throws(() => lockState(path), { name: 'Conflict', message: new RegExp(`process ${child.pid}`) });
  assert.equal(lockHolder(path), child.pid);
});

test('the lock of a server that was killed is free at once', async (t) => {
  const path = folder(t);
  const child = await otherServer(t, path);
  child.kill('SIGKILL');
  await once(child, 'exit');
  assert.equal(lockHolder(path), undefined);
  lockState(path).release();
});

test('asking who has the lock does not take it', (t) => {
  const path = folder(t);
  assert.equal(lockHolder(path), undefined);
  const lock = lockState(path);
  assert.equal(lockHolder(path), process.pid);
  lock.release();
  assert.equal(lockHolder(path), undefined);
});

test('a child of the server does not hold the lock after it', async (t) => {
  const path = folder(t);
  const lock = lockState(path);
  const child = spawn('sleep', ['30'], { stdio: 'ignore' });
  t.after(() => child.kill('SIGKILL'));
  await once(child, 'spawn');
  lock.release();
  assert.equal(lockHolder(path), undefined);
});

test('somebody who only looks who has the lock keeps no server from starting', async (t) => {
  const path = folder(t);
  lockState(path).release();
  const source = `const { lockHolder } = await import(${JSON.stringify(join(import.meta.dirname, 'state-lock.ts'))});
    console.log('looking'); for (;;) lockHolder(${JSON.stringify(path)});`;
  const child = spawn(process.execPath, ['--conditions=development', '--input-type=module', '--eval', source]);
  t.after(() => child.kill('SIGKILL'));
  await once(child.stdout, 'data');
  for (let start = 0; start < 5; start++) lockState(path).release();
});
