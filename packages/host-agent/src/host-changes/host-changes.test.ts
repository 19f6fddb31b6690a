import assert from 'node:assert/strict';
import { mkdtempSync } from 'node:fs';
import { mkdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import type { WantedSetting } from '@virga/contract/agent/host-changes';
import { hostSystemAt } from '../host-system/host-system.ts';
import { runCommand } from '../run-command.ts';
import type { StepHook } from '../step-hook.ts';
import { HostChanges } from './host-changes.ts';

const thp = '/sys/kernel/mm/transparent_hugepage/enabled';
const ksm = '/sys/kernel/mm/ksm/run';
const kvm = '/dev/kvm';
const sysctl = '/etc/sysctl.d/90-virga.conf';
let root: string;

beforeEach(async () => {
  root = mkdtempSync(join(tmpdir(), 'virga-host-'));
  await file(thp, 'always [madvise] never\n');
  await file(ksm, '0\n');
  await file(kvm, '');
});
afterEach(() => rm(root, { recursive: true }));

async function file(path: string, content: string): Promise<void> {
  await mkdir(dirname(join(root, path)), { recursive: true });
  await writeFile(join(root, path), content);
}
const textAt = (path: string): Promise<string | undefined> => readFile(join(root, path), 'utf8').catch(() => undefined);
/** Of the three places, the chosen ones without line ends. */
const state = async () =>
  (await Promise.all([thp, ksm, sysctl].map(textAt))).map((text) => text?.trim().replace(/.*\[(.*)\].*/, '$1'));
const open = (hook?: StepHook) =>
  new HostChanges({ system: hostSystemAt(root, runCommand), recordPath: join(root, 'state/host-changes.json'), hook });

const value = (path: string, text: string): WantedSetting => ({
  setting: { kind: 'value', path, value: text },
  why: 'For a test.',
});
const config = (content: string): WantedSetting => ({
  setting: { kind: 'file', path: sysctl, content },
  why: 'So that it holds after a restart.',
});

test('what is wanted is shown, made, and taken back exactly', async () => {
  const changes = open();
  const open660: WantedSetting = {
    setting: { kind: 'access', path: kvm, access: { uid: 0, gid: 0, mode: 0o660 } },
    why: 'For a test.',
  };
  const wanted = [value(thp, 'always'), value(ksm, '1'), config('vm.swappiness = 10\n'), open660];
  const plan = await changes.plan('tuning', wanted);
  assert.deepEqual(
    plan.map(({ path, now, after }) => [path, now, after]),
    [
      [thp, 'madvise', 'always'],
      [ksm, '0', '1'],
      [sysctl, null, 'vm.swappiness = 10'],
      [kvm, '0644 0:0', '0660 0:0'],
    ],
  );
  assert.equal(await textAt(sysctl), undefined);
  assert.deepEqual(await changes.apply('tuning', wanted), plan);
  assert.equal(await textAt(thp), 'always');
  assert.equal(await textAt(sysctl), 'vm.swappiness = 10\n');
  assert.deepEqual(await changes.apply('tuning', wanted), []);
  await open().undo('tuning');
  assert.deepEqual([await textAt(thp), await textAt(ksm), await textAt(sysctl)], ['madvise', '0', undefined]);
  assert.equal((await stat(join(root, kvm))).mode & 0o777, 0o644);
  assert.deepEqual(await changes.owners(), new Map());
});

test('what two owners set is as the later one says, and as the other says when that one takes it back', async () => {
  const changes = open();
  await changes.apply('repair', [value(thp, 'never')]);
  await changes.apply('tuning', [value(thp, 'always')]);
  assert.equal(await textAt(thp), 'always');
  await changes.apply('repair', []);
  assert.equal(await textAt(thp), 'always');
  await changes.apply('repair', [value(thp, 'never')]);
  assert.equal(await textAt(thp), 'never');
  await changes.undo('repair');
  assert.equal(await textAt(thp), 'always');
  await changes.undo('tuning');
  assert.equal(await textAt(thp), 'madvise');
});

test('what an owner no longer wants is taken back, and what somebody else changed is told and set right', async () => {
  const changes = open();
  await changes.apply('tuning', [value(thp, 'always'), value(ksm, '1')]);
  await changes.apply('tuning', [value(ksm, '1')]);
  assert.equal(await textAt(thp), 'madvise');
  await file(ksm, '0\n');
  assert.deepEqual(await changes.drift(), [{ kind: 'value', path: ksm, now: '0', after: '1', why: 'For a test.' }]);
  await changes.apply('tuning', [value(ksm, '1')]);
  assert.deepEqual([await textAt(ksm), await changes.drift()], ['1', []]);
});

test('what is as it was asked for writes nothing, also no record', async () => {
  await open().apply('tuning', [value(thp, 'always')]);
  const steps: string[] = [];
  await open((step) => void steps.push(step)).apply('tuning', [value(thp, 'always')]);
  await open((step) => void steps.push(step)).undo('repair');
  assert.deepEqual(steps, []);
});

test('what one owner asks for touches no place of another', async () => {
  const changes = open();
  await changes.apply('tuning', [value(thp, 'always')]);
  await file(thp, 'never\n');
  assert.deepEqual(await changes.plan('repair', [value(ksm, '1')]), [
    { kind: 'value', path: ksm, now: '0', after: '1', why: 'For a test.' },
  ]);
  await changes.apply('repair', [value(ksm, '1')]);
  await changes.undo('repair');
  assert.equal(await textAt(thp), 'never\n');
  await changes.undo('tuning');
  assert.equal(await textAt(thp), 'madvise');
});

test('a setting that the host does not take leaves everything as it was', async () => {
  const refusing = open((step, path) => {
    if (step === 'set' && path === ksm) throw Object.assign(new Error('no'), { code: 'EINVAL' });
  });
  await assert.rejects(refusing.apply('tuning', [config('x'), value(thp, 'always'), value(ksm, '7')]));
  assert.deepEqual(await state(), ['madvise', '0', undefined]);
  assert.deepEqual(await open().owners(), new Map());
  await assert.rejects(open().apply('tuning', [value(thp, 'always'), value('/sys/none', '1')]), {
    code: 'HostSettingRefused',
    detail: 'The host has no /sys/none.',
  });
  assert.deepEqual(await open().owners(), new Map());
});

test('whenever the process dies, asking again completes it and undoing takes everything back', async () => {
  const wanted = [value(thp, 'always'), value(ksm, '1'), config('vm.swappiness = 10\n')];
  for (let deadAt = 1; ; deadAt++) {
    let steps = 0;
    const reached = Promise.withResolvers<void>();
    const dying = open(() => {
      if (++steps < deadAt) return;
      reached.resolve();
      return new Promise<void>(() => undefined);
    });
    const applied = dying.apply('tuning', wanted).then(() => 'done');
    const undone = applied.then(() => dying.undo('tuning')).then(() => 'undone');
    const end = await Promise.race([undone, reached.promise]);
    if (end === 'undone') {
      assert.ok(deadAt > 8, `${deadAt} places to die`);
      break;
    }
    // Undone by the next process, from wherever it was.
    await open().undo('tuning');
    assert.deepEqual(await state(), ['madvise', '0', undefined]);
    await open().apply('tuning', wanted);
    assert.deepEqual(await state(), ['always', '1', 'vm.swappiness = 10']);
    await open().undo('tuning');
    assert.deepEqual(await open().owners(), new Map());
  }
});
