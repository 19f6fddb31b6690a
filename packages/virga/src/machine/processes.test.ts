import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { until } from '@virga/testing/until';
import { isRunning, runningPid } from './processes.ts';

test('a process counts while it lives and is that program', async (t) => {
  const child = spawn('sleep', ['60']);
  t.after(() => child.kill('SIGKILL'));
  await once(child, 'spawn');
  await until('sleep has taken the place of the shell', () => isRunning(child.pid!, 'sleep'));
  assert.equal(isRunning(child.pid!, 'postgres'), false);
  child.kill('SIGKILL');
  await once(child, 'exit');
  assert.equal(isRunning(child.pid!, 'sleep'), false);
});

test('a process that has ended and was not reaped does not count', async (t) => {
  // The shell becomes a program that never asks for its children.
  const parent = spawn('sh', ['-c', 'sleep 0.1 & echo $!; exec sleep 60']);
  t.after(() => parent.kill('SIGKILL'));
  const [line] = await once(parent.stdout, 'data');
  const zombie = Number(String(line));
  await until('the child has ended', () => /^State:\tZ/m.test(readFileSync(`/proc/${zombie}/status`, 'utf8')));
  assert.equal(process.kill(zombie, 0), true);
  assert.equal(isRunning(zombie, 'sleep'), false);
});

test('a file that holds no process names none', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'processes-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const file = join(folder, 'pid');
  assert.equal(runningPid(file, 'node'), undefined);
  for (const text of ['', 'none', '-1', '0']) {
    writeFileSync(file, text);
    assert.equal(runningPid(file, 'node'), undefined);
  }
});
