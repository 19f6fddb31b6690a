// The two commands, as a person runs them on a machine where everything is installed: a cloud with a guest to log in to,
// and nothing of it left in the end.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { chmodSync, chownSync, existsSync, globSync, lstatSync, readFileSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { before, test } from 'node:test';
import { until } from '@virga/testing/until';

const root = join(import.meta.dirname, '../..');
const state = '/var/lib/virga';
const image = process.env.VIRGA_TEST_STARTER_IMAGE ?? '';

type Outcome = { code: number | null; stdout: string; stderr: string };

function run(command: string, ...args: string[]): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    let stdout = '';
    let stderr = '';
    child.stdout.on('data', (chunk) => {
      stdout += chunk;
    });
    child.stderr.on('data', (chunk) => {
      stderr += chunk;
    });
    child.on('error', reject);
    // Not `close`: what runs on in the background may hold the output open.
    child.on('exit', (code) => setImmediate(() => resolve({ code, stdout, stderr })));
  });
}

async function ok(command: string, ...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await run(command, ...args);
  assert.equal(code, 0, `${command} ${args.join(' ')}\n${stderr}${serverLog()}`);
  return stdout;
}

const serverLog = () =>
  existsSync(`${state}/log/server.log`) ? readFileSync(`${state}/log/server.log`, 'utf8').slice(-3000) : '';
const up = (...args: string[]) => ok(join(root, 'script/up'), '--yes', '--starter-image', image, ...args);
const down = (...args: string[]) => ok(join(root, 'script/down'), ...args);
const virga = (...args: string[]) => ok('/usr/local/bin/virga', ...args);
const json = async (...args: string[]) => JSON.parse(await virga(...args, '--output', 'json'));
const lines = (text: string) => text.split('\n').filter((line) => line.trim() !== '');
const runningDomains = async () => lines(await ok('virsh', '--quiet', 'list', '--name'));

type Change = { title: string; changes: string[] };
const planned = async (): Promise<Change[]> =>
  JSON.parse(await up('--plan', '--output', 'json')).filter(({ changes }: Change) => changes.length > 0);
/** Who may use /dev/kvm, where there is one. */
const kvmAccess = () => {
  const { uid, gid, mode } = statSync('/dev/kvm');
  return [uid, gid, mode & 0o777];
};
const kvmGroup = async () => Number((await ok('getent', 'group', 'kvm')).split(':')[2]);
const processId = () => JSON.parse(readFileSync('/run/virga/server.json', 'utf8')).pid as number;

before(async () => {
  assert.ok(process.env.VIRGA_TEST_NAMESPACE, 'run it with script/test');
  assert.ok(existsSync(image), 'VIRGA_TEST_STARTER_IMAGE names an image');
  // The namespaces have their own /etc, /run and /var/lib/virga, but not their own PATH: here it gets a copy.
  const programs = join(process.env.VIRGA_TEST_NAMESPACE, 'programs');
  await ok('cp', '--archive', '/usr/local/bin', programs);
  await ok('mount', '--bind', programs, '/usr/local/bin');
  rmSync('/usr/local/bin/virga', { force: true });
  // As on a machine without udev; this one is the namespaces' own too.
  if (!existsSync('/dev/kvm')) return;
  chownSync('/dev/kvm', 0, 0);
  chmodSync('/dev/kvm', 0o600);
});

test('up makes a cloud with a guest to log in to, down leaves the guest, and a purge leaves nothing', async (t) => {
  let domain = '';

  await t.test('up ends with a running instance, and says how to reach it', async () => {
    const text = await up();
    assert.match(text, /virga ssh first/);
    assert.match(text, /virga console first/);
    assert.match(text, /http:\/\/127\.0\.0\.1:8470/);
    assert.match(text, /^ {2}host {6}\d+ checks: \d+ ok/m);
  });

  await t.test(
    'up has given /dev/kvm to QEMU before libvirt looked, and the checks of the host tell of it',
    async () => {
      if (existsSync('/dev/kvm')) assert.deepEqual(kvmAccess(), [0, await kvmGroup(), 0o660]);
      const { stdout } = await run('/usr/local/bin/virga', 'host', 'check', '--output', 'json');
      const [{ checks }] = JSON.parse(stdout);
      const checkOf = (wanted: string) => checks.find(({ name }: { name: string }) => name === wanted);
      const { verdict, repaired } = checkOf('kvm-permissions');
      assert.deepEqual([verdict, repaired], existsSync('/dev/kvm') ? ['ok', true] : ['not-applicable', false]);
      // The kernel of the starter image was booted under KVM, or was tried to.
      const [{ facts }] = await json('hosts');
      assert.equal(checkOf('kvm-boots').verdict, facts.acceleration.mode === 'kvm' ? 'ok' : 'failure');
    },
  );

  await t.test('the instance is a domain of libvirt, and runs commands over SSH', async () => {
    const instances = await json('list');
    assert.equal(instances.length, 1);
    assert.equal(instances[0].name, 'first');
    assert.equal(instances[0].state, 'running');
    domain = instances[0].domainName;
    assert.deepEqual(await runningDomains(), [domain]);
    assert.equal((await virga('ssh', 'first', '--', 'hostname')).trim(), 'first');
  });

  await t.test('a second up changes nothing', async () => {
    const pid = processId();
    assert.deepEqual(await planned(), []);
    await up();
    assert.equal(processId(), pid);
    assert.equal((await json('list')).length, 1);
  });

  await t.test('a server that was killed is brought up again with the guest it had', async () => {
    process.kill(processId(), 'SIGKILL');
    assert.deepEqual((await planned()).map(({ title }) => title).slice(0, 1), ['server']);
    await up();
    const [instance] = await until('the instance is seen', async () => {
      const found = await json('list');
      return found[0]?.state === 'running' && found;
    });
    assert.equal(instance.domainName, domain);
  });

  await t.test('down stops the server and its database, and leaves the guest', async () => {
    assert.match(await down(), /Instances go on/);
    assert.deepEqual(await runningDomains(), [domain]);
    assert.equal(existsSync(`${state}/database/postmaster.pid`), false);
    const { code, stderr } = await run('/usr/local/bin/virga', 'list');
    assert.equal(code, 6);
    assert.match(stderr, /script\/up/);
    assert.match(await down(), /down already/);
  });

  await t.test('up on another port finds the guest again, and the command line follows', async () => {
    assert.match(await up('--port', '8471'), /http:\/\/127\.0\.0\.1:8471/);
    assert.equal((await virga('ssh', 'first', '--', 'hostname')).trim(), 'first');
    assert.deepEqual(await planned(), []);
  });

  await t.test('a purge asks first, and without an answer deletes nothing', async () => {
    const { code, stderr } = await run(join(root, 'script/down'), '--purge');
    assert.equal(code, 2);
    assert.match(stderr, /--yes/);
    assert.deepEqual(await runningDomains(), [domain]);
    assert.equal((await json('list')).length, 1);
  });

  await t.test('a purge leaves no domain, network, file, process, login or link', async () => {
    assert.match(await down('--purge', '--yes'), /gone/);
    assert.equal(existsSync(state), false);
    if (existsSync('/dev/kvm')) assert.deepEqual(kvmAccess(), [0, 0, 0o600], 'as it was before');
    assert.equal(existsSync('/run/virga'), false);
    assert.equal(lstatSync('/usr/local/bin/virga', { throwIfNoEntry: false }), undefined);
    assert.equal(existsSync(`${process.env.HOME}/.config/virga`), false);
    assert.equal((await run('getent', 'passwd', 'virga')).code, 2);
    assert.deepEqual(
      globSync(['/var/lib/libvirt/dnsmasq/*', '/etc/libvirt/qemu/*.xml', '/etc/libvirt/qemu/networks/*virga*']),
      [],
    );
    assert.doesNotMatch(await ok('ip', '-oneline', 'link'), /virga|virbr/);
    // What up had started of libvirt has gone too, with the last guest.
    assert.equal((await run('virsh', 'list')).code, 1);
    assert.doesNotMatch(await ok('ps', '-eo', 'args'), /postgres|qemu-system|dnsmasq|virga.*server/);
    assert.match(await down('--purge', '--yes'), /gone/);
  });
});
