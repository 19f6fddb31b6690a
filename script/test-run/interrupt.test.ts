// A test run that is ended in its middle, politely or not: nothing of it lives on, and the next run removes what lies about.
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, globSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { after, test } from 'node:test';
import { until } from '@virga/testing/until';

const root = join(import.meta.dirname, '../..');
const temporary = mkdtempSync(join(tmpdir(), 'interrupt-'));
const someTest = 'packages/libvirt/src/xdr/schema.test.ts';

after(() => rmSync(temporary, { recursive: true, force: true }));

function startRun(): ChildProcess {
  const env = { ...process.env, TMPDIR: temporary };
  return spawn(join(root, 'script/test'), [someTest], { env, stdio: 'ignore', detached: true });
}

function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return ''; // ended meanwhile
  }
}

/** Names of the processes that live in the namespaces of a run: those that see its folder among their mounts. */
function livingIn(folder: string): string[] {
  // Mounts are listed by their path on the disk, of which we know the end.
  const place = relative(tmpdir(), folder);
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && textOf(`/proc/${name}/mountinfo`).includes(place))
    .map((name) => textOf(`/proc/${name}/comm`).trim());
}

/** Control groups of the namespaces that processes of a run have made; other tests have some too. */
const groupsOf = (makers: ReadonlySet<number>) =>
  globSync('/sys/fs/cgroup/{,*/}**/virga-test-*').filter((path) => makers.has(Number(path.split('-').at(-1))));

/** A process, with all that it has started. */
function familyOf(pid: number): Set<number> {
  const family = new Set([pid]);
  const parents = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((name) => [Number(name), Number(/^PPid:\s*(\d+)/m.exec(textOf(`/proc/${name}/status`))?.[1])] as const);
  for (let before = 0; before < family.size; ) {
    before = family.size;
    for (const [child, parent] of parents) if (family.has(parent)) family.add(child);
  }
  return family;
}

/** Starts a run and waits until its libvirtd is there. */
async function runUntilBusy(): Promise<{ run: ChildProcess; folder: string; groups: () => string[] }> {
  const run = startRun();
  const folder = await until('the folder of the run', () => globSync(join(temporary, 'virga-test.??????'))[0]);
  await until('its libvirtd', () => livingIn(folder).includes('libvirtd'), { timeoutMs: 90_000 });
  const family = familyOf(run.pid!);
  const groups = () => groupsOf(family);
  return { run, folder, groups };
}

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  test(`a run that gets ${signal} ends with everything in it, and removes its folder`, async () => {
    const { run, folder, groups } = await runUntilBusy();
    const ended = once(run, 'exit');
    run.kill(signal);
    const [code] = await ended;
    assert.equal(code, signal === 'SIGINT' ? 130 : 143);
    assert.deepEqual(livingIn(folder), []);
    assert.deepEqual(readdirSync(temporary), []);
    assert.deepEqual(groups(), []);
  });
}

test('a run that is killed ends with everything in it, and the next run removes its folder', async () => {
  const { run, folder, groups } = await runUntilBusy();
  run.kill('SIGKILL');
  await until('the end of all its processes', () => livingIn(folder).length === 0);
  await until('the end of its control groups', () => groups().length === 0);
  assert.ok(existsSync(folder));
  const [code] = await once(startRun(), 'exit');
  assert.equal(code, 0);
  assert.deepEqual(readdirSync(temporary), []);
});
