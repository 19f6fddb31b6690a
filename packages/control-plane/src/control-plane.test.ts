import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { authHeaders, createClient, routeUrl } from '@virga/contract/client';
import type { Problem } from '@virga/contract/errors';
import type { InstanceId, OperationId } from '@virga/contract/ids';
import { api } from '@virga/contract/rest/api';
import { startTemporaryCloud, type TemporaryCloud } from '@virga/testing/temporary-cloud';
import { createTemporaryDatabase } from '@virga/testing/temporary-database';
import { until } from '@virga/testing/until';

const folder = mkdtempSync(join(tmpdir(), 'virga-control-plane-'));
let cloud: TemporaryCloud;
before(async () => {
  cloud = await startTemporaryCloud({ settings: { reconcilePeriodMs: 300 } });
  const path = join(folder, 'disk.raw');
  writeFileSync(path, Buffer.alloc(1024 ** 2));
  await until(
    'the host is ready',
    async () => (await cloud.client.listHosts({ query: {} })).items[0]?.state === 'ready',
  );
  const image = await cloud.client.registerImage({ body: { name: 'disk', path, format: 'raw', visibility: 'public' } });
  const network = await cloud.client.createNetwork({
    body: { name: 'default', cidr: '10.9.0.0/24', visibility: 'public' },
  });
  await succeeded(image.operationId);
  await succeeded(network.operationId);
});
after(async () => {
  await cloud.close();
  rmSync(folder, { recursive: true });
});

async function succeeded(id: OperationId): Promise<void> {
  for (;;) {
    const operation = await cloud.client.getOperation({ params: { id }, query: { waitSeconds: 20 } });
    if (operation.state === 'succeeded') return;
    assert.notEqual(operation.state, 'failed', JSON.stringify(operation.error));
  }
}

async function launch(name: string): Promise<InstanceId> {
  const { instance, operationId } = await cloud.client.launchInstance({ body: { name, image: 'disk', type: 'tiny' } });
  await succeeded(operationId);
  return instance.id;
}

test('an instance is launched, changed only as it was read, and deleted, all through the API', async () => {
  const id = await launch('web-1');
  const { generation, state } = await cloud.client.getInstance({ params: { id } });
  assert.equal(state, 'running');
  const stop = { params: { id }, body: { timeoutSeconds: 5 } };
  await assert.rejects(cloud.client.stopInstance(stop, { ifMatch: generation + 1 }), { name: 'PreconditionFailed' });
  await succeeded((await cloud.client.stopInstance(stop, { ifMatch: generation })).operationId);
  await succeeded((await cloud.client.deleteInstance({ query: {}, params: { id } })).operationId);
  await assert.rejects(cloud.client.getInstance({ params: { id } }), { name: 'NotFound' });
});

test('ten launches at once under one idempotency key make one instance', async () => {
  const body = { name: 'only-one', image: 'disk', type: 'tiny' };
  const answers = await Promise.all(
    Array.from({ length: 10 }, () => cloud.client.launchInstance({ body }, { idempotencyKey: 'launch-1' })),
  );
  assert.equal(new Set(answers.map(({ operationId }) => operationId)).size, 1);
  await succeeded(answers[0]!.operationId);
  const { items } = await cloud.client.listInstances({ query: { name: 'only-one' } });
  assert.equal(items.length, 1);
});

/** A WebSocket of the console; undici takes headers, which a browser does not. */
function openConsole(id: InstanceId, headers: Record<string, string> = {}): WebSocket {
  const url = routeUrl(cloud.url, api.openConsole, { params: { id } });
  url.protocol = 'ws:';
  const all = { ...authHeaders({ server: cloud.url, ...cloud.credentials }), ...headers };
  const socket = new WebSocket(url, { headers: all } as never);
  socket.binaryType = 'arraybuffer';
  return socket;
}

test('the console of a running instance takes input and ends with the guest', async () => {
  const id = await launch('console');
  const socket = openConsole(id);
  await once(socket, 'open');
  let text = '';
  socket.addEventListener('message', ({ data }) => {
    text += Buffer.from(data as ArrayBuffer).toString();
  });
  socket.send(Buffer.from('hello\r'));
  await until('the guest answers', () => text.includes('hello'));
  const closed = once(socket, 'close');
  await cloud.client.destroyInstance({ params: { id } });
  await closed;
  const again = openConsole(id);
  await once(again, 'error');
  const url = routeUrl(cloud.url, api.openConsole, { params: { id } });
  const response = await fetch(url, { headers: authHeaders({ server: cloud.url, ...cloud.credentials }) });
  assert.equal(response.status, 400, 'and without an upgrade it says what it is');
});

test('a page of another origin, a stranger and a wrong id open no console', async () => {
  const id = await launch('guarded');
  for (const refused of [
    () => openConsole(id, { origin: 'https://evil.example' }),
    () => openConsole(id, { authorization: 'Basic eDp5' }),
    () => openConsole('i-0123456789abcdef0'),
  ]) {
    const socket = refused();
    await once(socket, 'error');
    assert.notEqual(socket.readyState, WebSocket.OPEN);
  }
  const own = openConsole(id, { origin: cloud.url });
  await once(own, 'open');
  own.close();
});

test('a second start on the same database is the same cloud with the same host', async () => {
  const database = await createTemporaryDatabase();
  try {
    const ids: string[] = [];
    for (let start = 0; start < 2; start++) {
      const other = await startTemporaryCloud({ database });
      const { items } = await other.client.listHosts({ query: {} });
      ids.push([other.controlPlane.cloudId, ...items.map((host) => host.id)].join());
      await other.close();
    }
    assert.equal(ids[0], ids[1]);
  } finally {
    await database.drop();
  }
});

test('a port that is taken stops the start, and leaves nothing running', async () => {
  const port = Number(new URL(cloud.url).port);
  const database = await createTemporaryDatabase();
  await assert.rejects(startTemporaryCloud({ database, listen: { host: '127.0.0.1', port } }), { name: 'PortInUse' });
  await database.drop();
});

/** A way to the database that can be cut. */
async function openDetour(target: { host?: string; port?: number }) {
  const path = join(folder, `.s.PGSQL.${target.port ?? 5432}`);
  const sockets = new Set<Socket>();
  const server = createServer((client) => {
    const upstream = connect(join(target.host!, `.s.PGSQL.${target.port ?? 5432}`));
    for (const [socket, other] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      sockets.add(socket);
      socket
        .on('error', () => {})
        .on('close', () => other.destroy())
        .pipe(other);
    }
  });
  const open = () => once(server.listen(path), 'listening');
  await open();
  const cut = async () => {
    const closed = once(server, 'close');
    server.close();
    for (const socket of sockets) socket.destroy();
    await closed;
  };
  return { open, cut };
}

test('while the database is away every answer is 503 with when to come back, and afterwards all is well', async () => {
  const database = await createTemporaryDatabase();
  const detour = await openDetour(database.config as { host?: string; port?: number });
  const config = { ...database.config, host: folder };
  const other = await startTemporaryCloud({ database: { config, drop: async () => {} } });
  const headers = authHeaders({ server: other.url, ...other.credentials });
  await detour.cut();
  for (const path of ['/v1/health', '/v1/caller', '/v1/instances']) {
    const response = await fetch(new URL(path, other.url), { headers });
    assert.deepEqual([response.status, ((await response.json()) as Problem).code], [503, 'StoreUnavailable'], path);
    assert.ok(Number(response.headers.get('retry-after')) > 0);
  }
  await detour.open();
  const client = createClient({ server: other.url, ...other.credentials });
  await until('the database is back', async () => (await client.getCaller()).user.name === 'admin');
  const feed = await fetch(new URL('/v1/events/stream', other.url), { headers });
  const reader = feed.body!.pipeThrough(new TextDecoderStream()).getReader();
  await reader.read();
  await client.createProject({ body: { name: 'after' } });
  await other.close();
  await detour.cut();
  await database.drop();
});
