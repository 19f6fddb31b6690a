// The ways to a daemon: sockets that are missing, dead or forbidden, streams that the caller brings, real authentication.
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, chown, mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Duplex } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { after, before, test } from 'node:test';
import { testSocketPath, uniqueName } from '../testing/daemon.ts';
import { startFakeServer } from '../testing/fake-server.ts';
import { startOwnDaemon } from '../testing/own-daemon.ts';
import { connect } from './connect.ts';
import { defaultSocketPath } from './transport.ts';

let folder: string;
const nogroup = 65_534;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'virga-transport-'));
  await chmod(folder, 0o711);
});

after(() => rm(folder, { recursive: true }));

/** A socket file behind which nobody listens any more. */
async function deadSocket(name: string): Promise<string> {
  const server = net.createServer().listen(join(folder, `${name}.new`));
  await once(server, 'listening');
  await rename(join(folder, `${name}.new`), join(folder, name));
  server.close();
  await once(server, 'close');
  return join(folder, name);
}

test('a socket that is missing, dead or forbidden is told apart, each with what to do', async () => {
  const dial = (path: string) => connect({ transport: { kind: 'unix', path } });
  const missing = { name: 'ConnectFailed', reason: 'SOCKET_MISSING', message: /libvirtd is not running/ };
  await assert.rejects(dial(join(folder, 'none')), missing);
  const dead = await deadSocket('dead');
  await assert.rejects(dial(dead), { name: 'ConnectFailed', reason: 'REFUSED', message: /start libvirtd/ });
  await assert.rejects(dial(join(dead, 'below-a-file')), { reason: 'SOCKET_MISSING' });

  await chmod(dead, 0o660);
  await chown(dead, 0, nogroup);
  process.seteuid?.(12_345);
  const denied = dial(dead);
  process.seteuid?.(0);
  await assert.rejects(denied, { name: 'ConnectFailed', reason: 'PERMISSION_DENIED', message: /group 'nogroup'/ });
});

test('the socket is that of the monolithic daemon, of the QEMU daemon where there is only that, or of the session', async () => {
  const system = join(folder, 'run');
  await mkdir(system);
  assert.equal(await defaultSocketPath('qemu:///system', false, system), join(system, 'libvirt-sock'));
  await writeFile(join(system, 'virtqemud-sock'), '');
  await writeFile(join(system, 'virtqemud-sock-ro'), '');
  assert.equal(await defaultSocketPath('qemu:///system', false, system), join(system, 'virtqemud-sock'));
  assert.equal(await defaultSocketPath('qemu:///system', true, system), join(system, 'virtqemud-sock-ro'));
  await writeFile(join(system, 'libvirt-sock'), '');
  assert.equal(await defaultSocketPath('qemu:///system', false, system), join(system, 'libvirt-sock'));
  const session = await defaultSocketPath('qemu:///session', true, system);
  assert.match(session, /(?<!^\/run)\/libvirt\/(libvirt|virtqemud)-sock$/);
  assert.ok(!session.startsWith(system));
});

/** The program that libvirt runs at the far end of an SSH connection, here without the SSH. */
function helper(): { process: ChildProcess; stream: Duplex } {
  const process = spawn('virt-ssh-helper', ['qemu:///system'], { stdio: ['pipe', 'pipe', 'ignore'] });
  return { process, stream: Duplex.from({ readable: process.stdout, writable: process.stdin }) };
}

test('a stream that the caller brought carries calls, and data streams among them', async () => {
  const { process, stream } = helper();
  const ended = once(process, 'exit');
  {
    await using connection = await connect({ transport: { kind: 'duplex', stream } });
    assert.equal(await connection.node.hypervisorType(), 'QEMU');
    const data = Buffer.alloc(2 ** 20, 'virga');
    const path = join(folder, 'pool');
    const pool = await connection.storagePools.createXml(
      `<pool type='dir'><name>${uniqueName()}</name><target><path>${path}</path></target></pool>`,
      { build: true },
    );
    const volume = await connection.volumes.createXml(
      pool,
      `<volume><name>v</name><capacity>${data.length}</capacity><target><format type='raw'/></target></volume>`,
    );
    const upload = await connection.volumes.upload(volume);
    upload.end(data);
    await once(upload, 'close');
    const [download, hostname] = await Promise.all([
      connection.volumes.download(volume).then((readable) => buffer(readable)),
      connection.node.hostname(),
    ]);
    assert.ok(data.equals(download));
    assert.notEqual(hostname, '');
    await connection.storagePools.destroy(pool);
  }
  await ended;
});

test('a function that brings streams is asked anew for each data stream, and each ends with its use', async () => {
  const helpers: ChildProcess[] = [];
  const bring = (): Duplex => {
    const { process, stream } = helper();
    helpers.push(process);
    return stream;
  };
  const connection = await connect({ transport: { kind: 'duplex', stream: bring }, uri: 'test:///default' });
  assert.equal(helpers.length, 1);
  const [domain] = await connection.domains.list();
  assert.ok(domain);
  const { stream } = await connection.domains.screenshot(domain);
  assert.equal(helpers.length, 2);
  assert.ok((await buffer(stream)).length > 0);
  const [first, second] = helpers.map((helperProcess) => once(helperProcess, 'exit'));
  await second;
  assert.ok((await connection.domains.list()).length > 0);
  await connection.close();
  await first;
});

test('a function that brings no stream in time is given up, and what it brings later is destroyed', async () => {
  const late = Promise.withResolvers<Duplex>();
  const given = connect({ transport: { kind: 'duplex', stream: () => late.promise }, connectTimeoutMs: 20 });
  await assert.rejects(given, { name: 'ConnectFailed', reason: 'TIMEOUT' });
  const stream = new Duplex({ read() {}, write: (_chunk, _encoding, done) => done() });
  late.resolve(stream);
  await once(stream, 'close');
  const broken = () => Promise.reject(new Error('no route'));
  await assert.rejects(connect({ transport: { kind: 'duplex', stream: broken } }), /no route/);
});

test('a real daemon that asks for polkit lets root in without it', async () => {
  await using daemon = await startOwnDaemon({ settings: ['auth_unix_rw = "polkit"'] });
  await using connection = await connect({
    transport: { kind: 'unix', path: daemon.socketPath },
    uri: 'test:///default',
  });
  assert.equal(await connection.node.hypervisorType(), 'TEST');
});

test('a hypervisor that the daemon does not have is a refusal of libvirt, and no connection stays', async () => {
  const refused = connect({ transport: { kind: 'unix', path: testSocketPath }, uri: 'nonsense:///system' });
  await assert.rejects(refused, { name: 'LibvirtError', procedure: 'connectOpen' });
  const closed = Promise.withResolvers<void>();
  await using server = await startFakeServer((message, peer) => {
    if (message.procedure !== 1) return false;
    peer.socket.once('close', () => closed.resolve());
    peer.error(message, Buffer.alloc(44));
    return true;
  });
  await assert.rejects(connect({ transport: { kind: 'unix', path: server.path } }), { name: 'LibvirtError' });
  await closed.promise;
});
