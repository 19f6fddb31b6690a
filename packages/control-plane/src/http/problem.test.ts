import assert from 'node:assert/strict';
import { once } from 'node:events';
import { get } from 'node:http';
import { Writable } from 'node:stream';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Problem } from '@virga/contract/errors';
import { until } from '@virga/testing/until';
import { type FastifyInstance, fastify } from 'fastify';
import { pino } from 'pino';
import { listen } from './listen.ts';
import { createOpenRequests } from './open-requests.ts';
import { sendProblem } from './problem.ts';

/** A server whose one request lasts until its client goes or the server closes. */
async function serveOne() {
  let logged = '';
  const log = new Writable({
    write(chunk, _encoding, done) {
      logged += chunk;
      done();
    },
  });
  const app = fastify({ loggerInstance: pino(log) }) as unknown as FastifyInstance;
  const requests = createOpenRequests();
  const begun = Promise.withResolvers<void>();
  app.setErrorHandler(sendProblem);
  app.get('/long', async (request, reply) => {
    begun.resolve();
    return sleep(60_000, undefined, { signal: requests.signalOf(request, reply) });
  });
  const url = await listen(app, { host: '127.0.0.1', port: 0 });
  return { app, requests, begun: begun.promise, url: `${url}/long`, logged: () => logged };
}

test('a client that hangs up is no mistake of the server, and is logged as what it is', async () => {
  const { app, begun, url, logged } = await serveOne();
  const request = get(url).on('error', () => {});
  await begun;
  request.destroy();
  await until('it is logged', () => logged().includes('given up'));
  assert.match(logged(), /"level":30.*its client went away/);
  assert.doesNotMatch(logged(), /"level":50|made a mistake/);
  await app.close();
});

test('who waits for a server that closes is told to come back', async () => {
  const { app, requests, begun, url } = await serveOne();
  const answer = once(get(url), 'response');
  await begun;
  requests.close();
  const [response] = await answer;
  const problem = JSON.parse((await response.toArray()).join('')) as Problem;
  assert.deepEqual(
    [response.statusCode, problem.code, response.headers['retry-after']],
    [503, 'ServerUnreachable', '2'],
  );
  await app.close();
});
