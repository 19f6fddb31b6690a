// The TLS port of a real libvirtd, with certificates made for the run: who gets in, who does not, and what then works.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import net from 'node:net';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import { after, before, test } from 'node:test';
import { type Authority, type Certificate, createAuthority } from '../testing/certificates.ts';
import { uniqueName, waitFor } from '../testing/daemon.ts';
import { type OwnDaemon, startOwnDaemon } from '../testing/own-daemon.ts';
import { type ConnectOptions, connect } from './connect.ts';
import type { TlsTransport } from './transport.ts';

let ours: Authority;
let server: Certificate;
let client: Certificate;
let daemon: OwnDaemon;

const startDaemon = (settings = ['auth_tls = "none"']): Promise<OwnDaemon> =>
  startOwnDaemon({ settings, tls: { ...server, ca: ours.cert } });

before(async () => {
  ours = await createAuthority('our authority');
  [server, client] = await Promise.all([ours.issue('host-1'), ours.issue('control plane')]);
  daemon = await startDaemon();
});

after(() => daemon[Symbol.asyncDispose]());

function overTls(changes: Partial<TlsTransport> = {}, options: ConnectOptions = {}) {
  const address = { kind: 'tls', host: '127.0.0.1', port: daemon.tlsPort, ca: ours.cert } as const;
  return connect({ transport: { ...address, ...client, ...changes }, uri: 'test:///default', ...options });
}

test('calls and events work over TLS as they do over a socket', async () => {
  await using connection = await overTls();
  assert.equal(await connection.node.isSecure(), true);
  const resumed = waitFor<void>('the event');
  await using _ = await connection.domains.on('lifecycle', ({ event }) => event === 'resumed' && resumed.resolve());
  const [domain] = await connection.domains.list();
  assert.ok(domain);
  await connection.domains.suspend(domain);
  await connection.domains.resume(domain);
  await resumed.done;
  const names = await Promise.all(Array.from({ length: 300 }, () => connection.domains.lookupByName(domain.name)));
  assert.ok(names.every(({ uuid }) => uuid === domain.uuid));
});

test('megabytes go both ways over TLS, each stream on a connection of its own', async () => {
  await using connection = await overTls({}, { uri: 'qemu:///session' });
  const data = randomBytes(5 * 2 ** 20 + 17);
  const path = `${daemon.folder}/pool`;
  const pool = await connection.storagePools.createXml(
    `<pool type='dir'><name>${uniqueName()}</name><target><path>${path}</path></target></pool>`,
    { build: true },
  );
  const volume = await connection.volumes.createXml(
    pool,
    `<volume><name>v</name><capacity unit='bytes'>${data.length}</capacity><target><format type='raw'/></target></volume>`,
  );
  await pipeline(Readable.from([data]), await connection.volumes.upload(volume));
  assert.ok(data.equals(await buffer(await connection.volumes.download(volume))));
  await connection.storagePools.destroy(pool);
});

test('a server of another authority, or with another name, is not talked to', async () => {
  const theirs = await createAuthority('another authority');
  const rejected = { name: 'ConnectFailed', reason: 'TLS_REJECTED', message: /check the certificates/ };
  await assert.rejects(overTls({ ca: theirs.cert }), rejected);
  await assert.rejects(overTls({ servername: 'other.example.org' }), rejected);
});

test('a client of another authority, or one not on the list, is not let in, and is told why', async () => {
  const theirs = await createAuthority('another authority');
  const rejected = { name: 'ConnectFailed', reason: 'TLS_REJECTED' };
  await assert.rejects(overTls(await theirs.issue('stranger')), rejected);
  await using strict = await startDaemon(['auth_tls = "none"', 'tls_allowed_dn_list = ["CN=somebody else"]']);
  await assert.rejects(overTls({ port: strict.tlsPort }), { ...rejected, message: /certificate/ });
});

test('a port where nobody listens is told apart from a bad certificate', async () => {
  await assert.rejects(overTls({ port: 1 }), { name: 'ConnectFailed', reason: 'REFUSED' });
  await assert.rejects(overTls({ host: 'no-such-host.invalid' }), { name: 'ConnectFailed', reason: 'UNREACHABLE' });
});

test('a port that takes the connection and says nothing is given up in time', async () => {
  const silent = net.createServer().listen(0, '127.0.0.1');
  await once(silent, 'listening');
  const taken = new Set<net.Socket>();
  silent.on('connection', (socket) => taken.add(socket.on('error', () => undefined)));
  const { port } = silent.address() as net.AddressInfo;
  await assert.rejects(overTls({ port }, { connectTimeoutMs: 50 }), { name: 'ConnectFailed', reason: 'TIMEOUT' });
  for (const socket of taken) socket.destroy();
  silent.close();
});

test('a port that asks for SASL is refused with what to do', async () => {
  await using sasl = await startDaemon(['auth_tls = "sasl"']);
  const refused = { name: 'ConnectFailed', reason: 'AUTH_UNSUPPORTED', message: /auth_tls/ };
  await assert.rejects(overTls({ port: sasl.tlsPort }), refused);
});
