// Tuning of the machine that the tests run on, as its administrator does it: by command, with a server that is killed and
// started meanwhile, and with hands that change the same settings.
import assert from 'node:assert/strict';
import { chmodSync, copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { MeasuredComparison } from '@virga/contract/agent/host-bench';
import { newId } from '@virga/contract/ids';
import { withKernelKnobs } from '@virga/host-agent/host-system/testing/kernel-knobs';
import { type Hypervisor, startHypervisor } from '@virga/testing/hypervisor';
import { until } from '@virga/testing/until';
import { output } from './run-program.ts';
import { WholeCloud } from './whole-cloud.ts';

let hypervisor: Hypervisor;
let cloud: WholeCloud;

before(async () => {
  // The kernel is everybody's; files of its configuration are this test's own.
  for (const folder of ['/etc/sysctl.d', '/etc/tmpfiles.d']) await output('mount', '-t', 'tmpfs', 'tmpfs', folder);
  hypervisor = await startHypervisor();
  cloud = await WholeCloud.start();
});

after(async () => {
  await cloud?.close();
  await hypervisor?.close();
});

const text = (path: string): string => readFileSync(path, 'utf8');
const swappiness = '/proc/sys/vm/swappiness';
const khugepaged = '/sys/kernel/mm/transparent_hugepage/khugepaged/pages_to_scan';
const thp = '/sys/kernel/mm/transparent_hugepage/enabled';
const ksmPages = '/sys/kernel/mm/ksm/pages_to_scan';
/** The kernel is other tests' too meanwhile, which are waited for. */
const testMs = 540_000;
const benchMs = 400_000;
const sysctls = '/etc/sysctl.d/90-virga.conf';

async function events(type: string): Promise<string[]> {
  const { items } = await cloud.client.listCloudEvents({ query: { order: 'newest' } });
  return items.filter((event) => event.type === type).map(({ message }) => message);
}

test('a host is tuned by command, set right after hands have changed it, and as before after the undo', async () => {
  await withKernelKnobs(async () => {
    const before = [text(swappiness), text(khugepaged)];
    try {
      const plan = await cloud.done('host tune custom --set swappiness=17 --set khugepaged-pages=4197 --dry-run');
      assert.match(plan, /\/proc\/sys\/vm\/swappiness {2}Set by the administrator\.\n {4}- \d+\n {4}\+ 17\n/);
      assert.deepEqual([text(swappiness), text(khugepaged)], before);

      const tuned = await cloud.done('host tune custom --set swappiness=17 --set khugepaged-pages=4197 --wait');
      assert.match(tuned, /custom with swappiness=17, khugepaged-pages=4197 is in force/);
      assert.deepEqual([text(swappiness), text(khugepaged)], ['17\n', '4197\n']);
      assert.match(text(sysctls), /^vm\.swappiness = 17$/m);

      const refused = await cloud.cli('hosts tune --set swappiness=18 --set io-scheduler.sdzzz=none --wait'.split(' '));
      assert.deepEqual([refused.exit, text(swappiness)], [2, '17\n'], refused.stderr);
      assert.match(await cloud.done('host tune'), /The host has no ioScheduler\.sdzzz\./);

      await cloud.stopServer('SIGKILL');
      writeFileSync(swappiness, '77');
      await cloud.startServer();
      await until('it is set right', () => text(swappiness) === '17\n');
      const [drift] = await until('it is told', async () => {
        const told = await events('host.drifted');
        return told.length > 0 && told;
      });
      assert.match(drift!, /\/proc\/sys\/vm\/swappiness from 17 to 77/);
    } finally {
      await cloud.done('host tune --undo --wait');
    }
    assert.deepEqual([text(swappiness), text(khugepaged), existsSync(sysctls)], [...before, false]);
    assert.match(await cloud.done('host tune'), /not tuned/);
  });
});

test('of a benchmark only what won is set on the host, kept there when hands change it, and taken back', {
  timeout: testMs,
}, async () => {
  await bringBenchImage();
  await withKernelKnobs(async () => {
    // Of disks; loop devices come and go with what other tests do.
    const schedulers = () =>
      readdirSync('/sys/block')
        .map((name) => `/sys/block/${name}`)
        .filter((path) => existsSync(`${path}/device`) && existsSync(`${path}/queue/scheduler`))
        .map((path) => `${path}: ${text(`${path}/queue/scheduler`)}`);
    const seen = () => [thp, ksmPages, swappiness].map(text);
    const before = { values: seen(), schedulers: schedulers() };
    const tooShort = await cloud.cli(
      'hosts bench --only disk-bus,nested-paging --pairs 1 --seconds 1 --force --keep-best'.split(' '),
      { timeoutMs: benchMs },
    );
    assert.equal(tooShort.exit, 0, tooShort.stderr);
    assert.match(tooShort.stdout, /too few pairs/);
    assert.match(
      tooShort.stderr,
      /No setting of the host was measurably better than what it has: nothing is changed\./,
    );
    assert.equal((await cloud.client.getHostTuning({ params: { id: await hostId() } })).tuning.desired, null);

    const [chosen, winner] = thpChoices();
    await recordBenchmark(chosen, winner);
    try {
      const kept = await cloud.cli('hosts bench-report --keep-best'.split(' '));
      assert.equal(kept.exit, 0, kept.stderr);
      assert.match(kept.stderr, new RegExp(`Keeping thp=${winner}, ksm-pages=1250\\.`));
      assert.match(kept.stdout, /no measurable difference/);
      assert.match(kept.stdout, /Have instances keep virtio disks/);
      assert.deepEqual([thpChoices()[0], text(ksmPages)], [winner, '1250\n']);
      assert.deepEqual([text(swappiness), schedulers()], [before.values[2], before.schedulers]);
      const { tuning, seen: settings } = await cloud.client.getHostTuning({ params: { id: await hostId() } });
      assert.deepEqual(tuning.inForce, { profile: 'custom', overrides: { thp: winner, ksmPages: 1250 } });
      assert.deepEqual(settings?.changes, [], 'it was read back');
      assert.match(text('/etc/tmpfiles.d/virga.conf'), /pages_to_scan/);
      const drifts = (await events('host.drifted')).length;
      // It is looked at every ten seconds.
      writeFileSync(ksmPages, '99');
      await until('it is set right', () => text(ksmPages) === '1250\n', { timeoutMs: 60_000 });
      await until('it is told', async () => (await events('host.drifted')).length > drifts);
    } finally {
      await cloud.done('host tune --undo --wait');
    }
    assert.deepEqual([seen(), schedulers()], [before.values, before.schedulers]);
    assert.equal(existsSync('/etc/tmpfiles.d/virga.conf'), false);
  });
});

const hostId = async () => (await cloud.client.listHosts({ query: {} })).items[0]!.id;

/** What is in force, and another one. */
function thpChoices(): [chosen: string, other: string] {
  const choices = text(thp).trim().split(' ');
  const chosen = choices.find((choice) => choice.startsWith('['))!.slice(1, -1);
  return [chosen, chosen === 'madvise' ? 'always' : 'madvise'];
}

/** The image is built from packages of the distribution, which are out of reach here: the test run has built it. */
async function bringBenchImage(): Promise<void> {
  const file = process.env.VIRGA_TEST_BENCH_IMAGE;
  assert.ok(file, 'script/test names the image to measure with');
  const recipe = fileURLToPath(new URL('../../images/bench/build', import.meta.url));
  const key = (await output(recipe, '--print-key')).trim();
  const folder = join(cloud.folders.state, 'storage', 'bench-images');
  mkdirSync(folder, { recursive: true, mode: 0o711 });
  copyFileSync(file, join(folder, `${key}.qcow2`));
  chmodSync(join(folder, `${key}.qcow2`), 0o644);
}

/**
 * A benchmark as it would be written down, beside the one that was really run: to win for certain takes minutes here, where guests
 * are emulated. What it means is worked out from these figures, by the server.
 */
async function recordBenchmark(chosen: string, winner: string): Promise<void> {
  const { db } = cloud.store;
  const real = await db.selectFrom('host_benchmarks').selectAll().executeTakeFirstOrThrow();
  const about = { device: null, conditions: [], notPossible: null, tookSeconds: 60 };
  const metric = (name: string, unit: string, better: 'higher' | 'lower', settings: Record<string, number[]>) => ({
    ...{ name, unit, better },
    settings: Object.entries(settings).map(([setting, samples]) => ({ name: setting, samples })),
  });
  const measured: MeasuredComparison[] = [
    {
      ...{ name: 'thp', title: 'transparent huge pages', ...about },
      metrics: [
        metric('first touch', 'MiB/s', 'higher', {
          [chosen]: [500, 512, 490, 505, 499, 501],
          [winner]: [1000, 1010, 990, 1005, 1002, 998],
        }),
      ],
    },
    {
      ...{ name: 'ksm', title: 'merging of equal pages (KSM)', ...about },
      metrics: [
        metric('time to converge', 's', 'lower', {
          '100 pages a round': [60, 61, 58, 62, 60, 59],
          '1250 pages a round': [9, 8, 9, 10, 9, 8],
        }),
      ],
    },
    {
      ...{ name: 'io-scheduler', title: 'I/O scheduler', ...about, device: 'sda' },
      metrics: [
        metric('random reads', 'IOPS', 'higher', {
          none: [5000, 5100, 4900, 5050, 4950, 5000],
          bfq: [4990, 5110, 4950, 5000, 4960, 5020],
        }),
      ],
    },
    {
      ...{ name: 'disk-bus', title: 'virtio against an emulated disk', ...about },
      metrics: [
        metric('random reads', 'IOPS', 'higher', {
          'emulated (AHCI)': [800, 810, 790, 805, 795, 800],
          virtio: [4000, 4100, 3900, 4050, 3950, 4000],
        }),
      ],
    },
  ];
  await db
    .insertInto('host_benchmarks')
    .values({
      id: newId('benchmark'),
      host_id: real.host_id,
      operation_id: real.operation_id,
      setup: JSON.stringify({ ...real.setup, comparisons: measured.map(({ name }) => name), pairs: 6 }),
      conditions: JSON.stringify(real.conditions),
      measured: JSON.stringify(measured),
      state: 'succeeded',
      state_reason: null,
      finished_at: new Date(),
    })
    .execute();
}
