// The process that tunes is killed, as a process, before each of its writes.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { test } from 'node:test';
import type { DesiredTuning } from '@virga/contract/agent/host-tuning';
import { HostChanges } from '../host-changes/host-changes.ts';
import { hostSystemAt } from '../host-system/host-system.ts';
import { runCommand } from '../run-command.ts';
import { HostTuner } from './host-tuner.ts';

const first: DesiredTuning = { profile: 'custom', overrides: { ksm: 'on', swappiness: 3 } };
const second: DesiredTuning = { profile: 'custom', overrides: { swappiness: 9, ksmPages: 700 } };

const tree = {
  '/sys/kernel/mm/ksm/run': '0\n',
  '/sys/kernel/mm/ksm/pages_to_scan': '100\n',
  '/proc/sys/vm/swappiness': '60\n',
  '/etc/sysctl.d/99-sysctl.conf': 'net.ipv4.ip_forward = 1\n',
  '/etc/sysctl.d/90-virga.conf': '# Of somebody else, with no line end',
  '/etc/tmpfiles.d/README': '',
};

async function filesOf(folder: string): Promise<Record<string, string>> {
  const found = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = found.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  const read = files.map(async (path) => [`/${relative(folder, path)}`, await readFile(path, 'utf8')] as const);
  return Object.fromEntries(await Promise.all(read));
}

/** @returns how it ended: null when it was killed */
function tuneUntilKilled(folder: string, recordPath: string, step: number): Promise<number | null> {
  const program = join(import.meta.dirname, 'testing/tune-until-killed.ts');
  const tunings = [first, null].map((tuning) => JSON.stringify(tuning));
  const argv = ['--conditions=development', program, folder, recordPath, String(step), ...tunings];
  return new Promise((resolve, reject) => {
    const child = execFile(process.execPath, argv, (error, _, stderr) => {
      if (error && child.signalCode !== 'SIGKILL') reject(new Error(stderr));
      else resolve(child.exitCode);
    });
  });
}

/** @returns whether it was killed, and not done before */
async function killedAt(root: string, step: number): Promise<boolean> {
  const folder = join(root, String(step));
  const recordPath = join(root, `${step}.json`);
  for (const [path, content] of Object.entries(tree)) {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), content);
  }
  if ((await tuneUntilKilled(folder, recordPath, step)) === 0) return false;
  const system = hostSystemAt(folder, runCommand);
  const tuner = new HostTuner({ system, changes: new HostChanges({ system, recordPath }) });
  if (step % 2 === 0) {
    await tuner.applyTuning(second);
    assert.deepEqual((await tuner.planTuning(second)).changes, []);
    assert.equal(await readFile(join(folder, '/proc/sys/vm/swappiness'), 'utf8'), '9');
  }
  await tuner.applyTuning(null);
  const left = await filesOf(folder);
  // The kernel ends its own files with a line end; these are none of the kernel's.
  for (const path of Object.keys(left)) if (/^\/(sys|proc)/.test(path)) left[path] = `${left[path]!.trim()}\n`;
  assert.deepEqual(left, tree, `killed at step ${step}`);
  return true;
}

const atOnce = 4;

test('killed with SIGKILL before any write, nothing is half: it is completed, and taken back to the byte', async () => {
  const root = await mkdtemp(join(tmpdir(), 'virga-killed-tuning.'));
  try {
    for (let step = 1; ; step += atOnce) {
      const steps = Array.from({ length: atOnce }, (_, index) => step + index);
      const killed = await Promise.all(steps.map((one) => killedAt(root, one)));
      if (killed.includes(false)) {
        const places = step - 1 + killed.filter(Boolean).length;
        assert.ok(places > 8, `${places} places to die`);
        break;
      }
    }
  } finally {
    await rm(root, { recursive: true });
  }
});
