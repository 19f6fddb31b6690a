import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { chmod, copyFile, mkdir, mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { HostAgent } from '@virga/contract/agent/agent';
import type { CheckVerdict } from '@virga/contract/agent/host-checks';
import { realHostSystem } from '../host-system/host-system.ts';
import { redirectedSystem } from '../host-system/testing/redirected-system.ts';
import { runCommand } from '../run-command.ts';
import { openTestHost, type TestHost } from './testing/test-host.ts';

let host: TestHost;
let folder: string;
let agent: HostAgent;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'virga-host-checks.'));
  await chmod(folder, 0o711);
  host = await openTestHost(201);
});
after(async () => {
  await host.close();
  await rm(folder, { recursive: true });
});

const checkOf = async (by: HostAgent, name: string) => (await by.checkHost([name])).checks[0]!;

test('a /dev/kvm that QEMU may not open is found, given to QEMU, and is as before when that is undone', async (t) => {
  // A device node of its own: that of the machine is everybody’s.
  const node = join(folder, 'dev/kvm');
  await mkdir(join(folder, 'dev'));
  await mkdir(join(folder, 'etc'));
  await runCommand('mknod', ['-m', '600', node, 'c', '10', '232']);
  await copyFile('/etc/group', join(folder, 'etc/group'));
  const system = redirectedSystem(realHostSystem, folder, ['/dev/kvm', '/etc']);
  agent = await host.openAgent({ system });
  const broken = await checkOf(agent, 'kvm-permissions');
  assert.equal(broken.verdict, 'failure');
  assert.match(broken.seen, /belongs to group 0, not to kvm \(\d+\), with mode 0600/);
  const gid = Number((await runCommand('getent', ['group', 'kvm'])).split(':')[2]);
  const uid = Number(await runCommand('id', ['--user', 'libvirt-qemu']));
  const opens = () =>
    runCommand('test', ['-r', node, '-a', '-w', node], { user: { uid, gid } }).then(
      () => true,
      () => false,
    );
  assert.equal(await opens(), false);

  await agent.repairHost(['kvm-permissions']);
  assert.equal((await checkOf(agent, 'kvm-permissions')).verdict, 'ok');
  assert.equal(await opens(), true, 'QEMU’s user may read and write it');

  await agent.undoRepairs();
  const { uid: owner, gid: group, mode } = await stat(node);
  assert.deepEqual([owner, group, mode & 0o777], [0, 0, 0o600]);
  t.diagnostic(`this machine ${existsSync('/dev/kvm') ? 'has' : 'has no'} /dev/kvm`);
});

test('a setting of this machine’s kernel is repaired and undone', async () => {
  const path = '/proc/sys/fs/aio-max-nr';
  const before = (await realHostSystem.read(path))!.trim();
  const mender = await host.openAgent({ system: redirectedSystem(realHostSystem, folder, ['/etc']) });
  const spoilt = String(Math.max(65_536, Number((await realHostSystem.read('/proc/sys/fs/aio-nr'))!.trim())));
  await realHostSystem.writeValue(path, spoilt);
  try {
    assert.notEqual((await checkOf(mender, 'async-io')).verdict, 'ok');
    await mender.repairHost(['async-io']);
    assert.equal((await realHostSystem.read(path))!.trim(), '1048576');
    assert.equal((await checkOf(mender, 'async-io')).verdict, 'ok');
    await mender.undoRepairs();
    assert.equal((await realHostSystem.read(path))!.trim(), spoilt);
  } finally {
    await realHostSystem.writeValue(path, before);
  }
});

test('KVM is called well only when a Linux boots under it; what libvirt and QEMU are is asked of them', async (t) => {
  const prover = await host.openAgent({ acceleration: 'auto' });
  const { checks } = await prover.checkHost(['kvm-boots', 'libvirt', 'qemu', 'machines']);
  const verdicts = Object.fromEntries(checks.map(({ name, verdict }) => [name, verdict]));
  assert.deepEqual([verdicts.libvirt, verdicts.qemu], ['ok', 'ok']);
  const { mode, reason } = (await prover.facts()).acceleration;
  assert.equal(verdicts['kvm-boots'], mode === 'kvm' ? 'ok' : 'failure');
  assert.equal(checks.find(({ name }) => name === 'kvm-boots')?.seen, reason);
  t.diagnostic(`${mode}: ${reason}`);
  // Set to emulation it is not tried, and not called a failure.
  assert.equal((await checkOf(host.agent, 'kvm-boots')).verdict, 'not-applicable');
});

/** What virt-host-validate looks at, and the check of ours that does. */
const peers: [line: RegExp, check: string][] = [
  [/hardware virtualization/, 'hardware-virtualization'],
  [/if device \/dev\/kvm exists/, 'kvm-device'],
  [/if device \/dev\/kvm is accessible/, 'kvm-permissions'],
  [/\/dev\/vhost-net exists/, 'vhost-net'],
  [/\/dev\/net\/tun exists/, 'tap'],
  [/cgroup '\w+' controller/, 'cgroups'],
  [/IOMMU/, 'iommu'],
  [/secure guest support/, 'secure-guests'],
];
/** Ours that are at least as strict. NOTE and WARN are for what is needed for one purpose only. */
const strict: Record<string, CheckVerdict[]> = {
  PASS: ['not-applicable', 'ok', 'advice', 'warning', 'failure'],
  NOTE: ['advice', 'warning', 'failure'],
  WARN: ['advice', 'warning', 'failure'],
  FAIL: ['failure'],
};

test('all that virt-host-validate finds on this machine is found, as strictly, and more', async (t) => {
  // It ends with an error when something fails, which is no error here.
  const output = await runCommand('sh', ['-c', 'virt-host-validate qemu || true']);
  const lines = output.split('\n').filter((line) => line.includes('QEMU: Checking'));
  assert.ok(lines.length >= 8, output);
  const begunMs = performance.now();
  const { checks } = await host.agent.checkHost();
  t.diagnostic(`all checks took ${Math.round(performance.now() - begunMs)} ms`);
  const found = new Set<string>();
  for (const line of lines) {
    const peer = peers.find(([pattern]) => pattern.test(line));
    assert.ok(peer, `no check of ours is for: ${line}`);
    const verdict = /: (PASS|NOTE|WARN|FAIL)/.exec(line)?.[1] ?? '';
    const ours = checks.find(({ name }) => name === peer[1])!;
    assert.ok(strict[verdict]?.includes(ours.verdict), `${line}\nours: ${ours.name} ${ours.verdict}: ${ours.seen}`);
    found.add(ours.name);
  }
  const more = checks.filter(
    ({ name, verdict }) => !found.has(name) && verdict !== 'ok' && verdict !== 'not-applicable',
  );
  t.diagnostic(
    `${lines.length} lines of theirs, ${checks.length} checks of ours; more: ${more.map(({ name }) => name).join(', ')}`,
  );
  assert.ok(checks.length > 2 * found.size);
});
