import assert from 'node:assert/strict';
import { mkdtempSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { conforms } from '@virga/contract/agent/conforms';
import { type CheckVerdict, HostCheckReport } from '@virga/contract/agent/host-checks';
import { HostChanges } from '../host-changes/host-changes.ts';
import { hostChecks } from './host-check-table.ts';
import { hostDoctor, keepRepairs } from './host-doctor.ts';
import { type HostTree, openTree } from './testing/host-tree.ts';
import {
  amdServer,
  armBoard,
  armServer,
  intelLocked,
  intelLockedRegister,
  intelServer,
  nestedGuest,
  numaServer,
  nvmeLaptop,
  permissive,
  raidServer,
} from './testing/host-trees.ts';

const folder = mkdtempSync(join(tmpdir(), 'virga-host-checks-'));
after(() => rm(folder, { recursive: true }));
let opened = 0;

function doctorOf(tree: HostTree) {
  const seen = openTree(tree);
  const recordPath = join(folder, `${opened++}.json`);
  const changes = new HostChanges({ system: seen.system, recordPath });
  return { ...seen, changes, doctor: hostDoctor({ system: seen.system, changes, host: seen.host }) };
}

/** What each kind of host is told, but for what is well. */
const kinds: [string, HostTree, Partial<Record<string, CheckVerdict>>][] = [
  ['a server with Intel processors and EPT', intelServer, {}],
  [
    'an Intel server whose firmware has virtualization locked away',
    intelLocked,
    {
      'hardware-virtualization': 'failure',
      'virtualization-firmware': 'failure',
      'nested-paging': 'not-applicable',
      vpid: 'not-applicable',
      'interrupt-controller': 'not-applicable',
      iommu: 'advice',
      'secure-guests': 'advice',
      'kvm-device': 'failure',
      'kvm-permissions': 'not-applicable',
      'kvm-boots': 'failure',
    },
  ],
  [
    'an AMD server with NPT switched off, and a /dev/kvm of root alone',
    amdServer,
    {
      'nested-paging': 'warning',
      'interrupt-controller': 'advice',
      iommu: 'advice',
      'kvm-permissions': 'failure',
      'cpu-governor': 'warning',
      swappiness: 'advice',
      'memory-overcommit': 'warning',
      'async-io': 'warning',
    },
  ],
  [
    'a server with ARM processors',
    armServer,
    { 'virtualization-firmware': 'not-applicable', 'secure-guests': 'advice', smt: 'not-applicable' },
  ],
  [
    'an ARM board started at EL1',
    armBoard,
    {
      'hardware-virtualization': 'failure',
      'virtualization-firmware': 'not-applicable',
      'interrupt-controller': 'advice',
      iommu: 'advice',
      'secure-guests': 'advice',
      'kvm-device': 'failure',
      'kvm-permissions': 'not-applicable',
      'kvm-boots': 'failure',
      smt: 'not-applicable',
      cgroups: 'warning',
    },
  ],
  [
    'a server with two unequal nodes',
    numaServer,
    {
      vpid: 'warning',
      numa: 'advice',
      'huge-pages': 'warning',
      ksm: 'advice',
      'transparent-huge-pages': 'warning',
    },
  ],
  [
    'a laptop with NVMe',
    nvmeLaptop,
    {
      machines: 'advice',
      mitigations: 'advice',
      smt: 'advice',
      'clock-source': 'warning',
      swap: 'advice',
      'io-schedulers': 'advice',
      'power-loss': 'advice',
      'free-disk': 'warning',
      'vhost-net': 'warning',
      'open-files': 'advice',
      'locked-memory': 'warning',
      'time-sync': 'warning',
      'host-name': 'warning',
    },
  ],
  [
    'a virtual machine with nested virtualization',
    nestedGuest,
    {
      vpid: 'warning',
      'interrupt-controller': 'advice',
      iommu: 'advice',
      'secure-guests': 'advice',
      'cpu-governor': 'not-applicable',
      utilisation: 'advice',
      reflink: 'advice',
      'direct-io': 'warning',
      'free-disk': 'failure',
      bridge: 'failure',
      tap: 'failure',
      'vhost-net': 'warning',
      openvswitch: 'advice',
      confinement: 'warning',
    },
  ],
  [
    'an old server with a RAID controller',
    raidServer,
    {
      libvirt: 'failure',
      qemu: 'failure',
      machines: 'advice',
      mitigations: 'warning',
      'clock-source': 'warning',
      'io-schedulers': 'advice',
      'power-loss': 'advice',
      cgroups: 'warning',
      'time-sync': 'warning',
    },
  ],
  [
    'a server whose SELinux only warns',
    permissive,
    { 'kvm-permissions': 'warning', 'huge-pages': 'advice', confinement: 'warning' },
  ],
];

/** Checks that showed a repair of one of these hosts. */
const repairing = new Set<string>();
const verdicts = new Map(hostChecks.map(({ name }) => [name, new Set<CheckVerdict>()]));

for (const [kind, tree, expected] of kinds) {
  test(`${kind} is told what is not well, and nothing else`, async () => {
    const { doctor, state } = doctorOf(tree);
    const before = state();
    const report = await doctor.checkHost();
    assert.ok(conforms(HostCheckReport, report));
    for (const { name, verdict, repair } of report.checks) {
      verdicts.get(name)!.add(verdict);
      if (repair.length > 0) repairing.add(name);
    }
    const found = Object.fromEntries(
      report.checks.filter(({ verdict }) => verdict !== 'ok').map(({ name, verdict }) => [name, verdict]),
    );
    assert.deepEqual(found, expected);
    assert.deepEqual(state(), before, 'looking changes nothing');
    for (const { name, verdict, seen, why, todo, repair, readings } of report.checks) {
      for (const sentence of [seen, why]) assert.match(sentence, /^\S.*\S\.$/, name);
      if (verdict === 'failure') assert.ok(todo !== null || repair.length > 0, `${name} says what to do`);
      if (verdict === 'ok') assert.deepEqual([todo, repair], [null, []], name);
      if (verdict !== 'not-applicable' && tree.arch === 'x86_64')
        assert.ok(readings.length > 0, `${name} says where it looked`);
    }
  });
}

test('every check has found one of these hosts well, and one not', () => {
  for (const [name, seen] of verdicts) {
    assert.ok(seen.has('ok'), `${name} was never well`);
    assert.ok(
      ['advice', 'warning', 'failure'].some((verdict) => seen.has(verdict as CheckVerdict)),
      `${name} found nothing`,
    );
  }
});

test('the checks that repair are those that say so', () => {
  const said = hostChecks.filter(({ repairs }) => repairs !== undefined);
  assert.deepEqual(said.map(({ name }) => name).sort(), [...repairing].sort());
});

for (const [kind, tree] of kinds) {
  test(`${kind} is repaired as was shown, is well then, and is as before when that is undone`, async () => {
    const { doctor, state } = doctorOf(tree);
    const before = state();
    const broken = (await doctor.checkHost()).checks.filter(({ repair }) => repair.length > 0);
    const names = broken.map(({ name }) => name);
    const shown = broken.flatMap(({ repair }) => repair);
    assert.deepEqual(await doctor.repairHost(names), shown);
    for (const { name, verdict, repair, repaired } of (await doctor.checkHost()).checks) {
      assert.equal(repaired, names.includes(name));
      if (!repaired) continue;
      // What is about a module counts when that is loaded anew.
      assert.equal(verdict, ['nested-paging', 'vpid', 'vhost-net'].includes(name) ? 'warning' : 'ok', name);
      assert.deepEqual(repair, []);
    }
    assert.deepEqual(await doctor.repairHost(names), [], 'once is enough');
    assert.equal((await doctor.undoRepairs()).length, shown.length);
    assert.deepEqual(state(), before);
    assert.deepEqual(await doctor.undoRepairs(), []);
  });
}

test('the register of a locked firmware says so as well as the kernel’s log', async () => {
  const { doctor } = doctorOf(intelLockedRegister);
  const [check] = (await doctor.checkHost(['virtualization-firmware'])).checks;
  assert.equal(check?.verdict, 'failure');
  assert.match(check.seen, /switched VT-x off/);
  const silent = doctorOf({ ...intelLocked, programs: intelServer.programs });
  const [unsure] = (await silent.doctor.checkHost(['virtualization-firmware'])).checks;
  assert.equal(unsure?.verdict, 'warning');
});

test('/dev/kvm is given to the group kvm, keeps what more it allows, and stays so where udev runs', async () => {
  const { doctor, system } = doctorOf({ ...amdServer, access: { '/dev/kvm': { uid: 0, gid: 0, mode: 0o666 } } });
  const [check] = (await doctor.checkHost(['kvm-permissions'])).checks;
  assert.deepEqual(
    check?.repair.map(({ path, now, after }) => [path, now, after]),
    [
      ['/dev/kvm', '0666 0:0', '0666 0:104'],
      [
        '/etc/udev/rules.d/80-virga-kvm.rules',
        null,
        'KERNEL=="kvm", GROUP="kvm", MODE="0660", OPTIONS+="static_node=kvm"',
      ],
    ],
  );
  assert.match(check.why, /about 4 s/);
  await doctor.repairHost(['kvm-permissions']);
  assert.deepEqual(await system.access('/dev/kvm'), { uid: 0, gid: 104, mode: 0o666 });
  await doctor.undoRepairs(['kvm-permissions']);
  assert.deepEqual(await system.access('/dev/kvm'), { uid: 0, gid: 0, mode: 0o666 });
});

test('what a restart of the host has reset is repaired again', async () => {
  const { doctor, system, changes } = doctorOf(amdServer);
  await doctor.repairHost(['swappiness']);
  const path = '/proc/sys/vm/swappiness';
  const repaired = await system.read(path);
  await system.writeValue(path, '60');
  assert.deepEqual(
    (await keepRepairs(changes)).map((change) => [change.path, change.now, change.after]),
    [[path, '60', repaired?.trim()]],
  );
  assert.equal(await system.read(path), repaired);
  assert.deepEqual(await keepRepairs(changes), []);
});

test('repairs of several checks are all made or none', async () => {
  const { system, host, state } = doctorOf(amdServer);
  const refusing = {
    ...system,
    writeValue: async (path: string, value: string) => {
      if (path.endsWith('aio-max-nr')) throw Object.assign(new Error('no'), { code: 'EINVAL' });
      return system.writeValue(path, value);
    },
  };
  const changes = new HostChanges({ system: refusing, recordPath: join(folder, 'refusing.json') });
  const doctor = hostDoctor({ system: refusing, changes, host });
  const before = state();
  await assert.rejects(doctor.repairHost(['swappiness', 'async-io']), { code: 'HostSettingRefused' });
  assert.deepEqual(state(), before);
  assert.deepEqual(await changes.owners(), new Map());
});

test('whenever the process dies while it repairs, the next one takes everything back, or repairs the rest', async () => {
  const names = ['kvm-permissions', 'cpu-governor', 'swappiness', 'async-io'];
  for (let deadAt = 1; ; deadAt++) {
    const { system, host, state } = openTree(amdServer);
    const recordPath = join(folder, `dead-${deadAt}.json`);
    const before = state();
    let steps = 0;
    const reached = Promise.withResolvers<void>();
    const hook = () => {
      if (++steps < deadAt) return;
      reached.resolve();
      return new Promise<void>(() => undefined);
    };
    const dying = hostDoctor({ system, changes: new HostChanges({ system, recordPath, hook }), host });
    const whole = dying.repairHost(names).then(() => 'whole' as const);
    const end = await Promise.race([whole, reached.promise]);
    const next = hostDoctor({ system, changes: new HostChanges({ system, recordPath }), host });
    if (end === 'whole') {
      assert.ok(deadAt > 12, `${deadAt} places to die`);
      break;
    }
    await next.undoRepairs();
    assert.deepEqual(state(), before, `dead at ${deadAt}`);
    await next.repairHost(names);
    const { checks } = await next.checkHost(names);
    assert.ok(checks.every(({ verdict }) => verdict === 'ok'));
    await next.undoRepairs();
    assert.deepEqual(state(), before);
  }
});

test('what a profile of tuning chose is well, and so it stays when that is repaired', async () => {
  const { doctor, changes } = doctorOf(numaServer);
  const values = [
    ['/proc/sys/vm/swappiness', '60'],
    ['/sys/kernel/mm/transparent_hugepage/enabled', 'never'],
    ['/sys/kernel/mm/ksm/merge_across_nodes', '1'],
  ] as const;
  const wanted = values.map(([path, value]) => ({ setting: { kind: 'value', path, value }, why: 'A test.' }) as const);
  const names = ['ksm', 'transparent-huge-pages', 'swappiness'];
  await changes.apply('tuning', wanted);
  const { checks } = await doctor.checkHost(names);
  assert.deepEqual(
    checks.map(({ verdict }) => verdict),
    ['ok', 'ok', 'ok'],
  );
  assert.match(checks[2]!.seen, /^\/proc\/sys\/vm\/swappiness is as this host was tuned\.$/);
  assert.deepEqual(await doctor.repairHost(names), []);
  await changes.undo('tuning');
  assert.equal((await doctor.checkHost(['transparent-huge-pages'])).checks[0]?.verdict, 'warning');
});

test('a check that there is none of is refused before anything is done', async () => {
  const { doctor } = doctorOf(amdServer);
  const unknown = { code: 'InvalidArgument', detail: 'There is no check of hosts named swapiness.' };
  await assert.rejects(doctor.checkHost(['swapiness']), unknown);
  await assert.rejects(doctor.repairHost(['swappiness', 'swapiness']), unknown);
  await assert.rejects(doctor.undoRepairs(['swapiness']), unknown);
});

test('a check that cannot look says so and hides no other one', async () => {
  const { system, host, changes } = doctorOf(intelServer);
  const doctor = hostDoctor({
    system,
    changes,
    host: { ...host, storageSpace: () => Promise.reject(new Error('the disk is gone')) },
  });
  const { checks } = await doctor.checkHost();
  const bad = checks.filter(({ verdict }) => verdict !== 'ok');
  assert.deepEqual(
    bad.map(({ name, seen }) => [name, seen]),
    [['free-disk', 'The check could not be made: the disk is gone.']],
  );
});
