import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import type { DesiredTuning, TuningPlan, TuningProfile } from '@virga/contract/agent/host-tuning';
import { VirgaError } from '@virga/contract/errors';
import { assertGolden } from '../libvirt/testing/golden.ts';
import { type HostKind, hostKinds } from './testing/host-kinds.ts';
import { tunedHost } from './testing/tuned-host.ts';

const desired = (profile: TuningProfile, overrides: DesiredTuning['overrides'] = {}): DesiredTuning => ({
  profile,
  overrides,
});
const custom = (overrides: DesiredTuning['overrides']) => desired('custom', overrides);
const named = ['balanced', 'latency', 'throughput', 'density'] as const;
const kinds = Object.keys(hostKinds) as HostKind[];

const scheduler = (disk: string) => `/sys/block/${disk}/queue/scheduler`;
const ksm = '/sys/kernel/mm/ksm';
const pages2m = (node: number) => `/sys/devices/system/node/node${node}/hugepages/hugepages-2048kB/nr_hugepages`;
const grubFile = '/etc/default/grub.d/90-virga.cfg';

function shown({ changes, notes, atNextBoot }: TuningPlan): string {
  const lines = changes.map(({ path, now, after, why }) =>
    after?.includes('\n') ? `${path}\n${after.replace(/^/gm, '  | ')}` : `${path}: ${now} -> ${after}  # ${why}`,
  );
  return [...lines, ...notes.map((note) => `note: ${note}`), ...atNextBoot.map((name) => `at boot: ${name}`)].join(
    '\n',
  );
}

for (const kind of kinds) {
  test(`what each profile comes to on a host of the kind ${kind}`, async () => {
    const plans = [];
    for (const profile of named) {
      plans.push(`== ${profile}\n${shown(await tunedHost(kind).tuner().planTuning(desired(profile)))}`);
    }
    assertGolden(join(import.meta.dirname, 'golden', `${kind}.txt`), plans.join('\n\n'));
  });

  test(`each profile is made on a host of the kind ${kind}, changed for the next, and taken back to the byte`, async () => {
    const host = tunedHost(kind);
    const before = host.snapshot();
    for (const profile of [...named, ...named.toReversed()]) {
      const { changes } = await host.tuner().applyTuning(desired(profile));
      assert.ok(changes.length > 0 || profile === 'density', profile);
      const after = await host.tuner().planTuning(desired(profile));
      assert.deepEqual(after.changes, []);
      for (const { now, wanted, knob } of after.settings) assert.ok(wanted === null || now === wanted, knob);
      assert.deepEqual((await host.tuner().applyTuning(desired(profile))).changes, []);
    }
    await host.tuner().applyTuning(null);
    assert.deepEqual(host.snapshot(), before);
    assert.deepEqual(await host.changes().owners(), new Map());
  });
}

test('planning changes nothing', async () => {
  const host = tunedHost('intelNvme');
  const before = host.snapshot();
  await host.tuner().planTuning(desired('throughput', { hugePages2Mib: 512, hugePages1GibAtBoot: 4 }));
  assert.deepEqual(host.snapshot(), before);
});

test('what the administrator says goes before the profile, a disk before its class, and keep leaves a knob alone', async () => {
  const host = tunedHost('intelNvme');
  const overrides = {
    ksm: 'off',
    thp: 'keep',
    swappiness: 33,
    ioScheduler: { nvme: 'mq-deadline', nvme1n1: 'kyber' },
    sysctl: { 'vm.dirty_ratio': 7 },
  } as const;
  const { settings } = await host.tuner().planTuning(desired('balanced', overrides));
  const of = (knob: string) => {
    const setting = settings.find((one) => one.knob === knob);
    return [setting?.wanted, setting?.by];
  };
  assert.deepEqual(of('ksm'), ['off', 'override']);
  assert.deepEqual(of('thp'), [null, null]);
  assert.deepEqual(of('swappiness'), ['33', 'override']);
  assert.deepEqual(of('ioScheduler.nvme0n1'), ['mq-deadline', 'override']);
  assert.deepEqual(of('ioScheduler.nvme1n1'), ['kyber', 'override']);
  assert.deepEqual(of('ioScheduler.sda'), ['mq-deadline', 'profile']);
  assert.deepEqual(of('sysctl.vm.dirty_ratio'), ['7', 'override']);
});

test('what is asked for by name and is not there is refused with its field, before anything is changed', async () => {
  const cases: [HostKind, DesiredTuning['overrides'], string][] = [
    ['virtualMachine', { cpuGovernor: 'performance' }, '/overrides/cpuGovernor'],
    ['virtualMachine', { hugePages1GibAtBoot: 2 }, '/overrides/hugePages1GibAtBoot'],
    ['virtualMachine', { ioScheduler: { sda: 'none' } }, '/overrides/ioScheduler/sda'],
    ['amdRaid', { ioScheduler: { rotating: 'kyber' } }, '/overrides/ioScheduler/rotating'],
    ['amdRaid', { ksmAdvisor: 'scan-time' }, '/overrides/ksmAdvisor'],
    ['oldKernel', { hugePages1Gib: 2 }, '/overrides/hugePages1Gib'],
    ['oldKernel', { thpDefrag: 'defer' }, '/overrides/thpDefrag'],
    ['intelNvme', { cpuGovernor: 'schedutil' }, '/overrides/cpuGovernor'],
    ['intelNvme', { hugePages2Mib: { 7: 1 } }, '/overrides/hugePages2Mib/7'],
    ['intelNvme', { hugePages2Mib: 200_000 }, '/overrides/hugePages2Mib'],
    ['intelNvme', { ksmAdvisor: 'scan-time', ksmPages: 500 }, '/overrides/ksmPages'],
  ];
  for (const [kind, overrides, field] of cases) {
    const host = tunedHost(kind);
    const before = host.snapshot();
    await assert.rejects(host.tuner().applyTuning(desired('balanced', overrides)), (error) => {
      assert.ok(error instanceof VirgaError, String(error));
      assert.deepEqual([error.code, error.field], ['HostSettingRefused', field], error.detail);
      return true;
    });
    assert.deepEqual(host.snapshot(), before);
  }
});

test('old and new names of schedulers stand for each other', async () => {
  const chosen = async (kind: HostKind, name: 'noop' | 'deadline' | 'cfq' | 'none' | 'bfq', disk: string) => {
    const host = tunedHost(kind);
    await host.tuner().applyTuning(custom({ ioScheduler: { [disk]: name } }));
    return /\[(.*)\]/.exec(host.files.get(scheduler(disk))!)?.[1];
  };
  assert.equal(await chosen('oldKernel', 'none', 'sda'), 'noop');
  assert.equal(await chosen('oldKernel', 'deadline', 'sda'), 'deadline');
  assert.equal(await chosen('oldKernel', 'bfq', 'sda'), 'cfq');
  assert.equal(await chosen('virtualMachine', 'noop', 'vda'), 'none');
  assert.equal(await chosen('virtualMachine', 'cfq', 'vda'), 'bfq');
});

test('huge pages are spread over the nodes, or as is said for each', async () => {
  const host = tunedHost('intelNvme');
  await host.tuner().applyTuning(custom({ hugePages2Mib: 513 }));
  assert.deepEqual([host.files.get(pages2m(0)), host.files.get(pages2m(1))], ['257\n', '256\n']);
  await host.tuner().applyTuning(custom({ hugePages2Mib: { 1: 100 } }));
  assert.deepEqual([host.files.get(pages2m(0)), host.files.get(pages2m(1))], ['0\n', '100\n']);
});

test('fewer huge pages than asked for are refused and given back; memory is brought together first', async () => {
  let compacted = 0;
  const kernel = (most: number) => (path: string, value: string) => {
    if (path.endsWith('compact_memory')) compacted += 1;
    return path === pages2m(1) ? String(Math.min(Number(value), most)) : value;
  };
  const host = tunedHost('intelNvme', kernel(40));
  const before = host.snapshot();
  await assert.rejects(host.tuner().applyTuning(custom({ swappiness: 5, hugePages2Mib: 100 })), {
    code: 'HostSettingRefused',
    field: '/overrides/hugePages2Mib',
    detail:
      'The kernel of the host gave 40 of 50 huge pages of 2 MiB on node 1: its free memory is too little or too fragmented.',
  });
  assert.equal(compacted, 1);
  assert.deepEqual({ ...host.snapshot(), '/proc/sys/vm/compact_memory': '0\n' }, before);
});

test('huge pages that guests use are not taken from them', async () => {
  let least = 0;
  const host = tunedHost('virtualMachine', (path, value) =>
    path === pages2m(0) ? String(Math.max(Number(value), least)) : value,
  );
  await host.tuner().applyTuning(custom({ hugePages2Mib: 64, swappiness: 5 }));
  least = 32;
  await assert.rejects(host.tuner().applyTuning(null), {
    code: 'HostSettingRefused',
    detail: /keeps 32 .* guests use them/,
  });
  assert.deepEqual([host.files.get(pages2m(0)), host.files.get('/proc/sys/vm/swappiness')], ['64\n', '5\n']);
});

test('nodes are told apart and together again while pages are merged, by taking them apart first', async () => {
  let shared = 0;
  const host = tunedHost('intelNvme', (path, value) => {
    if (path === `${ksm}/run` && value === '2') shared = 0;
    host.files.set(`${ksm}/pages_shared`, `${shared}\n`);
    if (path === `${ksm}/merge_across_nodes` && shared > 0) throw Object.assign(new Error('busy'), { code: 'EBUSY' });
    return value;
  });
  await host.tuner().applyTuning(desired('balanced'));
  for (const next of [desired('density'), desired('balanced'), null]) {
    shared = 1000;
    host.files.set(`${ksm}/pages_shared`, '1000\n');
    await host.tuner().applyTuning(next);
    assert.equal(host.files.get(`${ksm}/merge_across_nodes`), next?.profile === 'balanced' ? '0\n' : '1\n');
    assert.equal(host.files.get(`${ksm}/run`), next === null ? '0\n' : '1\n');
  }
});

test('where the advisor of the kernel runs, the pages of a round are its own', async () => {
  const kernel = (path: string, value: string) => {
    if (path === `${ksm}/advisor_mode`) host.files.set(`${ksm}/pages_to_scan`, value === 'none' ? '100\n' : '731\n');
    const isAdvised = host.files.get(`${ksm}/advisor_mode`)?.includes('[scan-time]');
    if (path === `${ksm}/pages_to_scan` && isAdvised) throw Object.assign(new Error('no'), { code: 'EINVAL' });
    return value;
  };
  let host = tunedHost('intelNvme', kernel);
  const before = host.snapshot();
  const pages = () => host.files.get(`${ksm}/pages_to_scan`);
  for (const [profile, seen] of [
    ['balanced', '731\n'],
    ['density', '1000\n'],
    ['balanced', '731\n'],
  ] as const) {
    await host.tuner().applyTuning(desired(profile));
    assert.equal(pages(), seen);
    assert.deepEqual((await host.tuner().planTuning(desired(profile))).changes, []);
  }
  await host.tuner().applyTuning(null);
  assert.deepEqual(host.snapshot(), before);

  // Of the administrator's own making: the profile leaves it, and a number is refused.
  host = tunedHost('intelNvme', kernel, {
    [`${ksm}/advisor_mode`]: 'none [scan-time]\n',
    [`${ksm}/pages_to_scan`]: '9\n',
  });
  const { notes } = await host.tuner().applyTuning(desired('density'));
  assert.equal(pages(), '9\n');
  assert.ok(notes.some((note) => note.startsWith('ksmPages is left out')));
  await assert.rejects(host.tuner().planTuning(desired('balanced', { ksmPages: 500 })), { code: 'HostSettingRefused' });
});

test('a profile raises limits, and lowers none', async () => {
  const host = tunedHost('virtualMachine', undefined, { '/proc/sys/fs/aio-max-nr': '4194304\n' });
  await host.tuner().applyTuning(desired('balanced'));
  assert.equal(host.files.get('/proc/sys/fs/aio-max-nr'), '4194304\n');
  assert.equal(host.files.get('/proc/sys/net/ipv4/neigh/default/gc_thresh3'), '16384\n');
});

test('limits in bytes that the host has are left alone', async () => {
  const host = tunedHost('virtualMachine', undefined, { '/proc/sys/vm/dirty_bytes': '1073741824\n' });
  const { settings, notes } = await host.tuner().planTuning(desired('balanced'));
  assert.equal(settings.find(({ knob }) => knob === 'sysctl.vm.dirty_ratio')?.wanted, null);
  assert.ok(notes.some((note) => note.includes('vm.dirty_bytes')));
});

test('what only the kernel command line does is told to GRUB, waits for a restart, and is taken from GRUB again', async () => {
  const host = tunedHost('amdRaid');
  const before = host.snapshot();
  await host.tuner().applyTuning(custom({ hugePages1GibAtBoot: 4 }));
  assert.match(host.files.get(grubFile)!, /hugepagesz=1G hugepages=4"/);
  assert.match(host.files.get('/boot/grub/grub.cfg')!, /hugepagesz=1G hugepages=4/);
  assert.equal(host.ran.length, 1);
  const wanted = custom({ hugePages1GibAtBoot: 4 });
  assert.deepEqual((await host.tuner().planTuning(wanted)).atNextBoot, ['hugepagesz=1G', 'hugepages=4']);
  host.files.set('/proc/cmdline', 'quiet hugepagesz=1G hugepages=4\n');
  assert.deepEqual((await host.tuner().planTuning(wanted)).atNextBoot, []);
  await host.tuner().applyTuning(wanted);
  assert.equal(host.ran.length, 1);
  host.files.set('/proc/cmdline', before['/proc/cmdline']!);
  await host.tuner().applyTuning(null);
  assert.deepEqual([host.ran.length, host.snapshot()], [2, before]);
});

test('when GRUB does not take it, everything is as before', async () => {
  const host = tunedHost('amdRaid', undefined, {}, async () => {
    throw new Error('no device');
  });
  const before = host.snapshot();
  await assert.rejects(host.tuner().applyTuning(custom({ swappiness: 5, hugePages1GibAtBoot: 4 })), {
    code: 'HostSettingRefused',
    detail: /update-grub failed/,
  });
  assert.deepEqual(host.snapshot(), before);
  assert.deepEqual(await host.changes().owners(), new Map());
});

test('an old kernel without udev is told its scheduler when it starts', async () => {
  const host = tunedHost('oldKernel');
  await host.tuner().applyTuning(desired('balanced'));
  assert.match(host.files.get(grubFile)!, / elevator=deadline"/);
});

test('whenever the process dies, the next one completes the tuning, or takes everything back', async () => {
  const overrides = { hugePages1GibAtBoot: 2, hugePages2Mib: 10, ioScheduler: { sda: 'none' } } as const;
  for (const kind of ['amdRaid', 'intelNvme'] as const) {
    for (let deadAt = 1; ; deadAt++) {
      const host = tunedHost(kind);
      const before = host.snapshot();
      let steps = 0;
      const reached = Promise.withResolvers<void>();
      const dying = host.tuner(() => {
        if (++steps < deadAt) return;
        reached.resolve();
        return new Promise<void>(() => undefined);
      });
      const work = dying
        .applyTuning(desired('density', overrides))
        .then(() => dying.applyTuning(desired('latency')))
        .then(() => dying.applyTuning(null));
      if ((await Promise.race([work.then(() => 'done'), reached.promise])) === 'done') {
        assert.ok(deadAt > 50, `${deadAt} places to die`);
        break;
      }
      if (deadAt % 2 === 0) {
        await host.tuner().applyTuning(desired('throughput'));
        assert.deepEqual((await host.tuner().planTuning(desired('throughput'))).changes, []);
      }
      await host.tuner().applyTuning(null);
      assert.deepEqual(host.snapshot(), before, `died at step ${deadAt}`);
    }
  }
});

test('what somebody else changed is seen, and set right', async () => {
  const host = tunedHost('virtualMachine');
  await host.tuner().applyTuning(desired('balanced'));
  host.files.set(scheduler('vda'), 'none mq-deadline kyber [bfq]\n');
  const seen = (await host.tuner().planTuning(desired('balanced'))).changes;
  assert.deepEqual(
    seen.map(({ path, now, after }) => [path, now, after]),
    [[scheduler('vda'), 'bfq', 'none']],
  );
  assert.deepEqual((await host.tuner().applyTuning(desired('balanced'))).changes, seen);
});

test('of what is in force a disk that has gone is left out when it is kept, and not when it is asked for', async () => {
  const host = tunedHost('intelNvme');
  const wanted = custom({ swappiness: 5, ioScheduler: { sda: 'none' } });
  await host.tuner().applyTuning(wanted);
  for (const path of [...host.files.paths()]) if (path.startsWith('/sys/block/sda/')) host.files.delete(path);
  host.files.set('/proc/sys/vm/swappiness', '66\n');
  await assert.rejects(host.tuner().applyTuning(wanted), { field: '/overrides/ioScheduler/sda' });
  const seen = await host.tuner().observedTuning(wanted);
  assert.ok(seen.changes.some(({ path, now }) => path === '/proc/sys/vm/swappiness' && now === '66'));
  assert.match(seen.notes.join(' '), /ioScheduler\.sda is left out/);
  await host.tuner().keepTuning(wanted);
  assert.equal(host.files.get('/proc/sys/vm/swappiness'), '5\n');
  assert.deepEqual((await host.tuner().observedTuning(wanted)).changes, []);
});

test('a disk that comes is tuned, and one that has gone keeps nothing from being taken back', async () => {
  const host = tunedHost('virtualMachine');
  await host.tuner().applyTuning(desired('balanced'));
  host.files.set('/sys/block/vdb/size', '1000\n');
  host.files.set(scheduler('vdb'), 'none [mq-deadline]\n');
  await host.tuner().applyTuning(desired('balanced'));
  assert.equal(host.files.get(scheduler('vdb')), '[none] mq-deadline\n');
  for (const path of ['/sys/block/vdb/size', scheduler('vdb')]) host.files.delete(path);
  assert.deepEqual((await host.tuner().planTuning(desired('balanced'))).changes, []);
  await host.tuner().applyTuning(null);
  assert.equal(host.files.get(scheduler('vda')), 'none [mq-deadline] kyber bfq\n');
});
