import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { Writable } from 'node:stream';
import { after, before, test } from 'node:test';
import { authHeaders, createClient } from '@virga/contract/client';
import type { Problem } from '@virga/contract/errors';
import { startTemporaryCloud, type TemporaryCloud } from '@virga/testing/temporary-cloud';
import { pino } from 'pino';

let cloud: TemporaryCloud;
let logged = '';
const log = pino(
  { level: 'debug' },
  new Writable({
    write(chunk, _encoding, done) {
      logged += chunk;
      done();
    },
  }),
);
before(async () => {
  cloud = await startTemporaryCloud({ log, limits: { requestsPerMinute: 100_000, loginsPerMinute: 3 } });
});
after(() => cloud.close());

type Init = Omit<RequestInit, 'headers'> & { headers?: Record<string, string> };
async function ask(path: string, init: Init = {}) {
  const headers = { ...authHeaders({ server: cloud.url, ...cloud.credentials }), ...init.headers };
  const response = await fetch(new URL(path, cloud.url), { ...init, headers });
  return { response, status: response.status, body: (await response.json()) as Problem };
}
const post = (path: string, body: unknown, headers: Record<string, string> = {}) =>
  ask(path, {
    method: 'POST',
    body: typeof body === 'string' ? body : JSON.stringify(body),
    headers: { 'content-type': 'application/json', ...headers },
  });

test('a refusal is a problem document with field, action and the id of the request', async () => {
  const { response, body } = await post('/v1/projects', { name: 'Big Name' });
  assert.equal(response.headers.get('content-type'), 'application/problem+json');
  assert.deepEqual(
    [body.status, body.code, body.field, body.requestId],
    [400, 'InvalidArgument', '/name', response.headers.get('x-request-id')],
  );
});

test('a parameter that may be repeated is read once and several times', async () => {
  for (const tag of [['env=test'], ['env=test', 'role'], ['a b=c&d', '%', "'"]]) {
    assert.deepEqual(await cloud.client.listInstances({ query: { tag } }), { items: [] });
  }
});

test('hostile input gets a 4xx, never a 5xx, and no stack', async () => {
  const answers = [
    await post('/v1/projects', '{"name":'),
    await post('/v1/projects', '{"__proto__":{"x":1},"name":"a"}'),
    await post('/v1/projects', '[1'),
    await post('/v1/projects', { name: 'a', description: 'x\0y' }),
    await post('/v1/projects', { name: 'a', owner: 'me' }),
    await post('/v1/projects', { name: 'a' }, { 'content-type': 'text/plain' }),
    await post('/v1/projects', { name: 'a' }, { 'idempotency-key': 'has space' }),
    await post('/v1/projects', { name: 'a' }, { 'if-match': '"1"' }),
    await ask('/v1/instances?limit=0'),
    await ask('/v1/instances?limit=1&limit=2'),
    await ask('/v1/instances?cursor=%00'),
    await ask('/v1/instances?tag='),
    await ask('/v1/instances?tag=%00'),
    await ask('/v1/instances?cursor=zzz'),
    await ask('/v1/instances?name=%00'),
    await ask('/v1/events?cursor=99999999999999999999-1'),
    await ask('/v1/events/stream', { headers: { 'last-event-id': 'nonsense' } }),
    await ask('/v1/instances/%2e%2e%2fusers'),
    await ask('/v1/instances/i-zzz'),
    await ask(`/v1/key-pairs/${'a'.repeat(5000)}`),
    await ask('/v1/%zz'),
    await ask('/v1/instance-types', { headers: { 'virga-project': 'no-such-project' } }),
    await ask('/v2/nothing'),
    await ask('/v1/health', { method: 'DELETE' }),
    await post('/v1/instances/i-0123456789abcdef0/start', { force: true }),
  ];
  for (const { status, body, response } of answers) {
    assert.ok(status >= 400 && status < 500, `${response.url}: ${status} ${JSON.stringify(body)}`);
    assert.match(body.type, /^urn:virga:error:\w+$/, response.url);
    assert.ok(body.detail.endsWith('.') && body.action.endsWith('.'), JSON.stringify(body));
    assert.doesNotMatch(JSON.stringify(body), /node_modules|\.ts:\d|at \w+ \(/);
  }
});

test('metrics are text, as Prometheus asks for them, and a window of usage that makes no sense is refused', async () => {
  const headers = authHeaders({ server: cloud.url, ...cloud.credentials });
  const response = await fetch(new URL('/metrics', cloud.url), { headers });
  assert.deepEqual([response.status, response.headers.get('content-type')], [200, 'text/plain; charset=utf-8']);
  assert.match(await response.text(), /^# TYPE virga_host_ready gauge$/m);
  const { items } = await cloud.client.listHosts({ query: {} });
  const refused = await ask(`/v1/hosts/${items[0]!.id}/usage?from=yesterday`);
  assert.deepEqual([refused.status, refused.body.field], [400, '/from']);
  const { points, step } = await cloud.client.getHostUsage({ params: { id: items[0]!.id }, query: {} });
  assert.deepEqual([points, step], [[], 'sample']);
});

test('a body that is too large is refused, and a stranger cannot even send one', async () => {
  const large = JSON.stringify({ name: 'a', description: 'x'.repeat(2 * 1024 ** 2) });
  assert.equal((await post('/v1/projects', large)).status, 413);
  const { hostname, port } = new URL(cloud.url);
  const socket = connect(Number(port), hostname);
  socket.write('POST /v1/projects HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 9\r\n\r\n');
  const [answer] = await new Promise<Buffer[]>((resolve) => socket.once('data', (...data) => resolve(data)));
  assert.match(String(answer), /^HTTP\/1\.1 401 /, 'refused before the body has come');
  socket.destroy();
});

test('what is no HTTP is answered and cut off', async () => {
  const { hostname, port } = new URL(cloud.url);
  const socket = connect(Number(port), hostname);
  socket.end('\x16\x03\x01 hello\r\n\r\n');
  let text = '';
  for await (const chunk of socket) text += chunk;
  assert.match(text, /^HTTP\/1\.1 400 /);
});

test('two requests at once with one idempotency key make one project and get one answer', async () => {
  const send = () => post('/v1/projects', { name: 'once', description: 'd' }, { 'idempotency-key': 'k-1' });
  const answers = await Promise.all([send(), send(), send(), send()]);
  assert.deepEqual(
    answers.map(({ status }) => status),
    [201, 201, 201, 201],
  );
  assert.equal(new Set(answers.map(({ body }) => JSON.stringify(body))).size, 1);
  const reordered = await post('/v1/projects', { description: 'd', name: 'once' }, { 'idempotency-key': 'k-1' });
  assert.equal(reordered.status, 201, 'the order of fields makes no other request');
  const other = await post('/v1/projects', { name: 'twice' }, { 'idempotency-key': 'k-1' });
  assert.deepEqual([other.status, other.body.code], [409, 'IdempotencyMismatch']);
});

test('who guesses passwords is slowed down, and told for how long', async () => {
  const guess = () => post('/v1/login', { user: 'admin', password: 'guess' });
  assert.deepEqual([(await guess()).status, (await guess()).status, (await guess()).status], [401, 401, 401]);
  const { status, body, response } = await guess();
  assert.deepEqual([status, body.code], [429, 'TooManyRequests']);
  assert.ok(Number(response.headers.get('retry-after')) > 0);
  assert.equal((await ask('/v1/caller')).status, 200, 'everything else goes on');
});

test('a stranger who floods the server is held off before the database is asked', async () => {
  const other = await startTemporaryCloud({ limits: { requestsPerMinute: 5, loginsPerMinute: 1 } });
  const statuses: number[] = [];
  for (let index = 0; index < 7; index++) {
    const response = await fetch(new URL('/v1/caller', other.url));
    statuses.push(response.status);
    await response.body?.cancel();
  }
  await other.close();
  assert.deepEqual(statuses, [401, 401, 401, 401, 401, 429, 429]);
});

test('answers carry the headers that keep a browser from misusing them', async () => {
  const { response } = await ask('/v1/caller');
  assert.equal(response.headers.get('x-content-type-options'), 'nosniff');
  assert.equal(response.headers.get('cache-control'), 'no-store');
  assert.match(response.headers.get('content-security-policy') ?? '', /default-src 'none'/);
  assert.equal(response.headers.get('x-powered-by'), null);
});

test('the log has every change with who asked for it, and no secret', async () => {
  const password = 'a password that nobody may see';
  await post('/v1/users', { name: 'logged', password });
  const userData = Buffer.from('secret user data').toString('base64');
  await post('/v1/instances', { name: 'web', image: 'none', type: 'small', userData });
  assert.match(logged, /"route":"\/v1\/users".*"actor":"admin"/);
  const basic = authHeaders({ server: '', ...cloud.credentials }).authorization!;
  for (const hidden of [password, userData, cloud.credentials.secret, basic.slice(6)])
    assert.ok(!logged.includes(hidden));
});

/** Reads a stream of events until `enough`; the client then goes. */
async function readStream(path: string, headers: Record<string, string>, enough: (text: string) => boolean) {
  const controller = new AbortController();
  const response = await fetch(new URL(path, cloud.url), {
    headers: { ...authHeaders({ server: cloud.url, ...cloud.credentials }), ...headers },
    signal: controller.signal,
  });
  assert.equal(response.headers.get('content-type'), 'text/event-stream; charset=utf-8');
  let text = '';
  for await (const chunk of response.body!.pipeThrough(new TextDecoderStream())) {
    text += chunk;
    if (enough(text)) break;
  }
  controller.abort();
  return text;
}
const idsOf = (text: string) => [...text.matchAll(/^id: (.+)\ndata: /gm)].map((match) => match[1]!);
const importKey = (name: string) => cloud.client.importKeyPair({ body: { name, publicKey: `ssh-ed25519 ${ed25519}` } });

test('a stream of events begins now, goes on after the last one that was seen, and skips none in between', async () => {
  const first = readStream('/v1/events/stream', {}, (text) => text.includes('"resourceName":"k2"'));
  const started = await readStream('/v1/events/stream', {}, (text) => text.startsWith('retry'));
  assert.deepEqual(idsOf(started), [], 'nothing old is told');
  await importKey('k1');
  await importKey('k2');
  const [one, two] = idsOf(await first);
  await importKey('k3');
  const resumed = await readStream('/v1/events/stream', { 'last-event-id': one! }, (text) => text.includes('"k3"'));
  assert.deepEqual([idsOf(resumed)[0], idsOf(resumed).length], [two, 2]);
  const start = /^id: (.+)$/m.exec(started)![1]!;
  const again = await readStream(`/v1/events/stream?after=${start}`, {}, (text) => text.includes('"k3"'));
  assert.deepEqual(idsOf(again).slice(0, 2), [one, two]);
});

test('closing the server ends streams and waiting requests at once', async () => {
  const other = await startTemporaryCloud();
  const client = createClient({ server: other.url, ...other.credentials });
  const response = await fetch(new URL('/v1/events/stream', other.url), {
    headers: authHeaders({ server: other.url, ...other.credentials }),
  });
  const stream = response.body!.getReader();
  await stream.read();
  const health = await client.getHealth();
  assert.equal(health.status, 'ok');
  const closing = other.close();
  let last = await stream.read().catch(() => ({ done: true }));
  while (!last.done) last = await stream.read().catch(() => ({ done: true }));
  const waited = performance.now();
  await closing;
  assert.ok(performance.now() - waited < 10_000, 'no connection that is kept alive is waited for');
});

const ed25519 = Buffer.concat([
  Buffer.from([0, 0, 0, 11]),
  Buffer.from('ssh-ed25519'),
  Buffer.from([0, 0, 0, 32]),
  Buffer.alloc(32, 7),
]).toString('base64');
