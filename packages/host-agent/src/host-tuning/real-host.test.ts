// Tuning of the machine that the tests run on: its kernel is set, read back, changed by hand, set right and put back. Files of
// its configuration lie in a folder of the test.
import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { DesiredTuning, TuningSetting } from '@virga/contract/agent/host-tuning';
import { HostChanges } from '../host-changes/host-changes.ts';
import { realHostSystem } from '../host-system/host-system.ts';
import { withKernelKnobs } from '../host-system/testing/kernel-knobs.ts';
import { redirectedSystem } from '../host-system/testing/redirected-system.ts';
import { HostTuner } from './host-tuner.ts';
import { lastingFiles } from './lasting-files.ts';

let folder: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'virga-real-host.'));
  for (const path of ['etc/sysctl.d', 'etc/tmpfiles.d', 'etc/udev/rules.d']) {
    await mkdir(join(folder, path), { recursive: true });
  }
});
after(() => rm(folder, { recursive: true }));

const text = (path: string): Promise<string> => readFile(path, 'utf8');
const ksm = '/sys/kernel/mm/ksm';
const thp = '/sys/kernel/mm/transparent_hugepage/enabled';
const swappiness = '/proc/sys/vm/swappiness';

type Host = { tuner: HostTuner; settings: TuningSetting[]; texts(): Promise<Record<string, string>> };

async function onThisMachine(work: (host: Host) => Promise<void>): Promise<void> {
  await withKernelKnobs(async (shared) => {
    const system = redirectedSystem(realHostSystem, folder, ['/etc']);
    const recordPath = join(shared, 'host-changes.json');
    const tuner = new HostTuner({ system, changes: new HostChanges({ system, recordPath }) });
    // What a run that was killed has left.
    await tuner.applyTuning(null);
    // The contract suite sets that one meanwhile.
    const settings = (await tuner.planTuning(null)).settings.filter(({ knob }) => knob !== 'ksmSleepMs');
    const texts = async () =>
      Object.fromEntries(await Promise.all(settings.map(async ({ path }) => [path, await text(path)] as const)));
    const before = await texts();
    try {
      await work({ tuner, settings, texts });
    } finally {
      await tuner.applyTuning(null);
    }
    assert.deepEqual(await texts(), before);
    for (const file of Object.values(lastingFiles)) {
      assert.deepEqual(await readdir(join(folder, file, '..')), [], file);
    }
  });
}

/** Others may have the kernel first. */
const patient = { timeout: 280_000 };

const custom = (overrides: DesiredTuning['overrides']): DesiredTuning => ({ profile: 'custom', overrides });

test(
  'KSM, huge pages, swap and the scheduler of a disk are set, kept, seen when changed, set right and put back',
  patient,
  async () => {
    await onThisMachine(async ({ tuner, settings }) => {
      const disk = settings.find(({ knob }) => knob.startsWith('ioScheduler.'));
      assert.ok(disk, 'the machine has a disk whose scheduler can be chosen');
      const name = disk.knob.slice('ioScheduler.'.length);
      const scheduler = disk.now === 'none' ? 'mq-deadline' : 'none';
      const wanted = custom({
        ksm: 'on',
        ksmPages: 321,
        thp: 'always',
        swappiness: 17,
        hugePages2Mib: 3,
        ioScheduler: { [name]: scheduler },
      });
      await tuner.applyTuning(wanted);
      assert.deepEqual([await text(`${ksm}/run`), await text(`${ksm}/pages_to_scan`)], ['1\n', '321\n']);
      assert.deepEqual([await text(thp), await text(swappiness)], ['[always] madvise never\n', '17\n']);
      assert.match(await text(disk.path), new RegExp(`\\[${scheduler}\\]`));
      assert.match(await text('/proc/meminfo'), /^HugePages_Total: +3$/m);
      assert.match(await text(join(folder, lastingFiles.sysctl)), /^vm\.swappiness = 17$/m);
      assert.match(
        await text(join(folder, lastingFiles.tmpfiles)),
        /^w \/sys\/kernel\/mm\/ksm\/pages_to_scan - - - - 321$/m,
      );
      assert.match(await text(join(folder, lastingFiles.udev)), new RegExp(`KERNEL=="${name}".*="${scheduler}"$`, 'm'));

      await writeFile(swappiness, '70');
      await writeFile(disk.path, disk.now!);
      const { changes } = await tuner.planTuning(wanted);
      assert.deepEqual(
        changes.map(({ path, now, after }) => [path, now, after]),
        [
          [swappiness, '70', '17'],
          [disk.path, disk.now, scheduler],
        ],
      );
      await tuner.applyTuning(wanted);
      assert.equal(await text(swappiness), '17\n');
      assert.deepEqual((await tuner.planTuning(wanted)).changes, []);
    });
  },
);

test('what this kernel does not take is refused, and what was set before it is put back', patient, async () => {
  await onThisMachine(async ({ tuner, texts }) => {
    const before = await texts();
    await assert.rejects(tuner.applyTuning(custom({ khugepagedPages: 4097, thp: 'always', swappiness: 201 })), {
      code: 'HostSettingRefused',
      field: '/overrides/swappiness',
    });
    await assert.rejects(tuner.applyTuning(custom({ hugePages1Gib: 60_000 })), { code: 'HostSettingRefused' });
    assert.deepEqual(await texts(), before);
  });
});

test('every profile can be made of this machine', patient, async () => {
  await onThisMachine(async ({ tuner }) => {
    for (const profile of ['balanced', 'density', 'throughput', 'latency'] as const) {
      const desired = { profile, overrides: {} };
      await tuner.applyTuning(desired);
      for (const { knob, now, wanted } of (await tuner.planTuning(desired)).settings) {
        assert.ok(wanted === null || wanted === now, `${knob} is ${now} instead of ${wanted}`);
      }
    }
  });
});
