import assert from 'node:assert/strict';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { createClient } from './client.ts';
import { toProblem, VirgaError } from './errors.ts';

type Answer = { status: number; body: string };

async function serve(
  answer: (request: IncomingMessage, body: string) => Answer,
): Promise<{ url: string } & AsyncDisposable> {
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const { status, body } = answer(request, Buffer.concat(chunks).toString());
    response.writeHead(status, { 'content-type': 'application/json' }).end(body);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

test('a call fills in the path, signs in and names project and idempotency key', async () => {
  let seen: IncomingMessage | undefined;
  let sent = '';
  await using server = await serve((request, body) => {
    seen = request;
    sent = body;
    return { status: 202, body: '{"instance":{"id":"i-1"},"operationId":"op-1"}' };
  });
  const client = createClient({ server: server.url, accessKeyId: 'VKX', secret: 's', project: 'default' });
  const answer = await client.stopInstance(
    { params: { id: 'i-0123456789abcdef0' }, body: { timeoutSeconds: 5 } },
    { idempotencyKey: 'k1', ifMatch: 3 },
  );
  assert.equal(answer.operationId, 'op-1');
  assert.equal(seen?.method, 'POST');
  assert.equal(seen?.url, '/v1/instances/i-0123456789abcdef0/stop');
  assert.equal(seen?.headers.authorization, `Basic ${Buffer.from('VKX:s').toString('base64')}`);
  assert.equal(seen?.headers['virga-project'], 'default');
  assert.equal(seen?.headers['idempotency-key'], 'k1');
  assert.equal(seen?.headers['if-match'], '"3"');
  assert.equal(sent, '{"timeoutSeconds":5}');
});

test('a path parameter cannot leave its place in the path', async () => {
  let url: string | undefined;
  await using server = await serve((request) => {
    url = request.url;
    return { status: 200, body: '{}' };
  });
  await createClient({ server: server.url }).deleteInstanceType({ params: { name: '../users/x?y' } });
  assert.equal(url, '/v1/instance-types/..%2Fusers%2Fx%3Fy');
});

test('a problem document becomes an error of the registry', async () => {
  const problem = toProblem(new VirgaError('NoCapacity', { detail: 'Full.', action: 'Delete something.' }));
  await using server = await serve(() => ({ status: problem.status, body: JSON.stringify(problem) }));
  await assert.rejects(
    createClient({ server: server.url }).getCaller(),
    (error: VirgaError) => error.code === 'NoCapacity',
  );
});

test('an answer that is no problem document says which status came', async () => {
  await using server = await serve(() => ({ status: 502, body: '<html>' }));
  await assert.rejects(createClient({ server: server.url }).getCaller(), /answered 502/);
});

test('a server that is not there is named in the error, with what to do', async () => {
  const server = await serve(() => ({ status: 200, body: '{}' }));
  await server[Symbol.asyncDispose]();
  await assert.rejects(createClient({ server: server.url }).getHealth(), (error: VirgaError) => {
    assert.equal(error.code, 'ServerUnreachable');
    assert.ok(error.detail.includes(server.url));
    return true;
  });
});

test('wrong arguments do not compile', () => {
  const client = createClient({ server: 'http://127.0.0.1:1' });
  // @ts-expect-error the name must be a string
  void (() => client.launchInstance({ body: { name: 1, image: 'starter', type: 'small' } }));
  // @ts-expect-error an image id is no instance id
  void ((id: `ami-${string}`) => client.getInstance({ params: { id } }));
});

test('a query with several values of one name repeats the name', async () => {
  let asked = '';
  await using server = await serve((request) => {
    asked = request.url ?? '';
    return { status: 200, body: '{"items":[]}' };
  });
  await createClient({ server: server.url }).listInstances({ query: { tag: ['env=test', 'a&b'], limit: 5 } });
  assert.equal(asked, '/v1/instances?tag=env%3Dtest&tag=a%26b&limit=5');
});
