// Inside of a guest that runs an operating system, on a real host: its agent, its consoles by ticket, its screen. One guest is
// booted once for all of it.
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { InstanceId } from '@virga/contract/ids';
import type { ConsoleKind } from '@virga/contract/rest/instance-consoles';
import { isPng } from '@virga/host-agent/picture';
import { type Hypervisor, startHypervisor } from '@virga/testing/hypervisor';
import { seenScreen } from '@virga/testing/seen-screen';
import { until } from '@virga/testing/until';
import { openWebSocketStream, refusedUpgrade } from '@virga/testing/web-socket-stream';
import { WholeCloud } from './whole-cloud.ts';

/** So that one that waits for ever tells of itself. */
const limited = { timeout: 150_000 };
let hypervisor: Hypervisor;
let cloud: WholeCloud;
let id: InstanceId;

before(async () => {
  hypervisor = await startHypervisor();
  cloud = await WholeCloud.start();
  const image = process.env.VIRGA_TEST_STARTER_IMAGE;
  await Promise.all([
    cloud.done(`images register ${image} --name starter --format qcow2 --login-user root --wait`),
    cloud.done('networks create default --cidr 10.202.0.0/24 --wait'),
  ]);
  await cloud.done('launch web --image starter --type tiny --no-key --wait');
  id = (await cloud.json('show web')).id;
  await until('the agent answers', () => cloud.client.getGuest({ params: { id } }), {
    timeoutMs: 180_000,
    intervalMs: 500,
  });
  await until('it is configured', async () => (await cloud.done('log web')).includes('virga-starter: ready'), {
    timeoutMs: 180_000,
    intervalMs: 500,
  });
});

after(async () => {
  await cloud?.close();
  await hypervisor?.close();
});

const params = {
  get params() {
    return { id };
  },
};
const text = (base64: string) => Buffer.from(base64, 'base64').toString();

async function run(
  command: string[],
  more: { env?: Record<string, string>; input?: string; waitSeconds?: number } = {},
) {
  const { stdout, stderr, pid, ...result } = await cloud.client.executeInGuest({
    params: { id },
    body: { command, ...more },
  });
  return { ...result, stdout: text(stdout), stderr: text(stderr) };
}

async function consoleByTicket(kind: ConsoleKind) {
  const { path } = await cloud.client.createConsoleTicket({ params: { id }, body: { kind } });
  const url = new URL(path, cloud.url);
  const { stream } = await openWebSocketStream(url, ['binary']);
  assert.equal((await refusedUpgrade(url)).status, 403, 'the ticket is used up');
  return stream;
}

test('the guest tells of itself', limited, async () => {
  const guest = await cloud.client.getGuest(params);
  const { networkInterfaces } = await cloud.client.getInstance(params);
  assert.equal(guest.hostName, 'web');
  assert.match(guest.osName ?? '', /\S/);
  assert.match(guest.kernel ?? '', /^\d+\.\d+/);
  const card = guest.interfaces.find(({ mac }) => mac === networkInterfaces[0]?.mac);
  assert.ok(card?.addresses.includes(`${networkInterfaces[0]?.address}/24`), JSON.stringify(guest.interfaces));
  const root = guest.fileSystems.find(({ mountPoint }) => mountPoint === '/');
  assert.ok(root?.type === 'ext4' && (root.totalBytes ?? 0) > (root.usedBytes ?? 0), JSON.stringify(guest.fileSystems));
  assert.equal(guest.frozen, false);
});

test(
  'a command keeps its two outputs apart, its exit code, its arguments, its input and its variables',
  limited,
  async () => {
    const script = 'echo out; echo err >&2; exit 7';
    assert.deepEqual(await run(['sh', '-c', script]), {
      exitCode: 7,
      stdout: 'out\n',
      stderr: 'err\n',
      truncated: false,
    });
    assert.equal((await run(['printf', '%s|', 'a b', '$HOME', '*', "it's"])).stdout, "a b|$HOME|*|it's|");
    assert.equal((await run(['cat'], { input: Buffer.from([0, 1, 255]).toString('base64') })).stdout.length, 3);
    assert.equal((await run(['sh', '-c', 'echo "$A:$PATH"'], { env: { A: 'x y' } })).stdout.split(':')[0], 'x y');
    assert.equal((await run(['no-such-program'])).exitCode, 127);
    assert.equal((await run(['sh', '-c', 'kill -9 $$'])).exitCode, 137);
    assert.equal((await run(['exit', '3'])).exitCode, 127, 'no builtin of a shell is a program');
  },
);

test('of endless output the first part is kept, and one that takes long is waited for again', limited, async () => {
  const { exitCode, stdout, truncated } = await run(['head', '-c', '5000000', '/dev/zero']);
  assert.deepEqual([exitCode, stdout.length, truncated], [0, 1024 ** 2, true]);
  const sleeping = { command: ['sh', '-c', 'sleep 3; echo late'], waitSeconds: 0 };
  const { pid, ...running } = await cloud.client.executeInGuest({ params: { id }, body: sleeping });
  assert.deepEqual(running, { exitCode: null, stdout: '', stderr: '', truncated: false });
  const ended = await cloud.client.awaitGuestCommand({ params: { id, pid }, query: { waitSeconds: 60 } });
  assert.deepEqual([ended.exitCode, text(ended.stdout)], [0, 'late\n']);
  await assert.rejects(cloud.client.awaitGuestCommand({ params: { id, pid }, query: {} }), { name: 'GuestRefused' });
});

test('a file of 5 MiB goes in and comes back whole, with its mode', limited, async () => {
  const bytes = randomBytes(5 * 1024 ** 2 + 123);
  const pieceBytes = 1024 ** 2;
  for (let offset = 0; offset < bytes.length; offset += pieceBytes) {
    const data = bytes.subarray(offset, offset + pieceBytes).toString('base64');
    const mode = offset === 0 ? { mode: 0o640 } : {};
    await cloud.client.writeGuestFile({ params: { id }, body: { path: '/root/big', offset, data, ...mode } });
  }
  const sum = createHash('sha256').update(bytes).digest('hex');
  assert.equal((await run(['sha256sum', '/root/big'])).stdout.split(' ')[0], sum);
  const query = { path: '/root/big' };
  assert.deepEqual(await cloud.client.getGuestFileStatus({ params: { id }, query }), {
    kind: 'file',
    sizeBytes: bytes.length,
    mode: 0o640,
  });
  const pieces: Buffer[] = [];
  for (let isEnd = false, offset = 0; !isEnd; offset += pieceBytes) {
    const { data, endOfFile } = await cloud.client.readGuestFile({ params: { id }, query: { ...query, offset } });
    pieces.push(Buffer.from(data, 'base64'));
    isEnd = endOfFile;
  }
  assert.ok(Buffer.concat(pieces).equals(bytes));
});

test('a frozen guest writes nothing, and goes on by itself when the time is over', limited, async () => {
  const { fileSystems } = await cloud.client.freezeGuest({ params: { id }, body: { timeoutSeconds: 4 } });
  assert.ok(fileSystems > 0);
  const { frozen, frozenUntil } = await cloud.client.getGuest(params);
  assert.ok(frozen && frozenUntil !== null);
  await assert.rejects(run(['true']), { name: 'GuestRefused', detail: /frozen/ });
  await until('it goes on', async () => !(await cloud.client.getGuest(params)).frozen, { timeoutMs: 60_000 });
  assert.equal((await run(['sh', '-c', 'echo on >/root/on && cat /root/on'])).stdout, 'on\n');
});

test('a frozen guest goes on also when the server was killed meanwhile', limited, async () => {
  await cloud.client.freezeGuest({ params: { id }, body: { timeoutSeconds: 5 } });
  await cloud.stopServer('SIGKILL');
  await cloud.startServer();
  await until('it goes on', async () => !(await cloud.client.getGuest(params)).frozen, { timeoutMs: 60_000 });
});

test('a password that was set logs in at the serial console, by a ticket', limited, async () => {
  const password = `pw-${randomBytes(6).toString('hex')}`;
  await cloud.client.setGuestPassword({ params: { id }, body: { user: 'root', password } });
  const stream = await consoleByTicket('serial');
  let heard = '';
  stream.on('data', (chunk: Buffer) => {
    heard += chunk.toString('latin1');
  });
  const hears = (what: string) =>
    until(`the console says ${what}`, () => heard.includes(what), { timeoutMs: 60_000 }).catch(() => {
      throw new Error(`the console never said ${what}: ${heard}`);
    });
  stream.write('\nexec login\n');
  await hears('login:');
  stream.write('root\n');
  await hears('assword:');
  stream.write(`${password}\n`);
  await hears('# ');
  stream.write('echo sum=$((40 + 2))\n');
  await hears('sum=42');
  stream.destroy();
  const events = JSON.stringify((await cloud.client.listEvents({ query: { resourceId: id } })).items);
  assert.ok(!events.includes(password) && !cloud.serverLog().includes(password));
});

test('keys are added to those of a user, once', limited, async () => {
  const key = `ssh-ed25519 ${Buffer.alloc(51, 7).toString('base64')} somebody`;
  for (let time = 0; time < 2; time++) {
    await cloud.client.setGuestKeys({ params: { id }, body: { user: 'root', keys: [key] } });
  }
  const { stdout } = await run(['grep', '-c', 'somebody', '/root/.ssh/authorized_keys']);
  assert.equal(stdout, '1\n');
});

test('the screen is a PNG, and a VNC client that has a ticket shakes hands and gets a picture', limited, async () => {
  const { data } = await cloud.client.getScreenshot(params);
  assert.ok(isPng(Buffer.from(data, 'base64')));
  const { picture, ...screen } = await seenScreen(await consoleByTicket('vnc'));
  assert.ok(screen.width >= 640 && screen.height >= 400 && screen.name.includes('web'), JSON.stringify(screen));
  assert.equal(picture.pixels.length, (picture.width * picture.height * screen.bitsPerPixel) / 8);
});

test('the command line does the same', limited, async () => {
  const failing = await cloud.cli(['exec', 'web', '--', 'sh', '-c', 'cat; echo err >&2; exit 5'], { input: 'typed' });
  assert.deepEqual([failing.exit, failing.stdout, failing.stderr], [5, 'typed', 'err\n']);
  const bytes = randomBytes(700_000);
  const [up, down] = [join(cloud.folder, 'up'), join(cloud.folder, 'down')];
  writeFileSync(up, bytes, { mode: 0o750 });
  assert.match(await cloud.done(`cp ${up} web:/root`), /^web:\/root\/up: 684 KiB/);
  await cloud.done(`cp web:/root/up ${down}`);
  assert.ok(readFileSync(down).equals(bytes) && (statSync(down).mode & 0o777) === 0o750);
  assert.equal(await cloud.done('cp web:/etc/hostname -'), 'web\n');
  assert.match(await cloud.done('guest info web'), /Host name +web\n/);
  const picture = join(cloud.folder, 'web.png');
  await cloud.done(`screenshot web ${picture}`);
  assert.ok(isPng(readFileSync(picture)));
});

test('a viewer of this machine sees the screen through virga vnc', limited, async () => {
  const path = join(cloud.folder, 'vnc');
  const running = cloud.cli(['vnc', 'web', '--socket', path, '--once']);
  await until('it listens', () => existsSync(path), { timeoutMs: 30_000 });
  const { name, picture } = await seenScreen(connect(path));
  assert.ok(name.includes('web') && picture.pixels.length > 0);
  assert.equal((await running).exit, 0);
});
