import assert from 'node:assert/strict';
import type { ServerResponse } from 'node:http';
import { test } from 'node:test';
import { VirgaError } from '@virga/contract/errors';
import { captureCli } from '@virga/testing/captured-cli';
import { anEvent, anInstance } from '@virga/testing/contract-examples';
import { serveContract } from '@virga/testing/contract-server';

const send = (response: ServerResponse, cursor: string) =>
  response.write(`id: ${cursor}\ndata: ${JSON.stringify(anEvent({ cursor, type: `event.${cursor}` }))}\n\n`);

test('--follow goes on where it was when the connection breaks, and ends with Ctrl-C', async () => {
  const interrupt = new AbortController();
  const resumedAfter: unknown[] = [];
  await using server = await serveContract({
    followEvents({ query, headers }, response) {
      resumedAfter.push([query.after, headers['last-event-id']]);
      if (resumedAfter.length === 1) {
        send(response, '1-1');
        send(response, '1-2');
        response.end();
      } else {
        send(response, '1-3');
      }
    },
  });
  await using cli = await captureCli(server.url);
  const run = await cli.run(['events', '--follow', '--output', 'json'], {
    interrupt: interrupt.signal,
    onOutput: ({ stdout }) => {
      if (stdout.includes('event.1-3')) interrupt.abort();
    },
  });
  assert.equal(run.exit, 130);
  const events = run.stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
  assert.deepEqual(
    events.map(({ cursor }) => cursor),
    ['1-1', '1-2', '1-3'],
  );
  assert.deepEqual(resumedAfter, [
    [undefined, undefined],
    ['1-2', '1-2'],
  ]);
  assert.match(run.stderr, /the server closed the stream; trying again in 0\.25 s/);
});

test('--follow for people is a line an event, without what could steer the terminal', async () => {
  const interrupt = new AbortController();
  await using server = await serveContract({
    followEvents(_args, response) {
      response.write(`data: ${JSON.stringify(anEvent({ message: 'up\u001b[2J\nand away' }))}\n\n`);
    },
  });
  await using cli = await captureCli(server.url);
  const run = await cli.run(['events', '--follow', '--quiet'], {
    interrupt: interrupt.signal,
    onOutput: ({ stdout }) => {
      if (stdout.endsWith('\n')) interrupt.abort();
    },
  });
  assert.match(run.stdout, /^2026-03-01T12:00:00\.000Z {2}audit {6}instance\.launch +web +up \[2J and away\n$/);
});

test('--follow ends when the server says that another try cannot help', async () => {
  await using server = await serveContract({
    followEvents: () => {
      throw new VirgaError('Forbidden', { detail: 'You may not do this.', action: 'Ask an administrator.' });
    },
  });
  await using cli = await captureCli(server.url);
  assert.equal((await cli.run(['events', '--follow'])).exit, 5);
  assert.equal(server.seen.length, 1);
});

test('the latest events are asked for and shown oldest first, filtered by the name of an instance', async () => {
  await using server = await serveContract({
    listInstances: () => ({ items: [anInstance()] }),
    listEvents: () => ({ items: [anEvent({ cursor: '2-1', type: 'b.b' }), anEvent({ cursor: '1-1', type: 'a.a' })] }),
  });
  await using cli = await captureCli(server.url);
  const run = await cli.run(['events', '--resource', 'web', '--category', 'audit', '--limit', '2', '-o', 'json']);
  assert.deepEqual(
    JSON.parse(run.stdout).map(({ type }: { type: string }) => type),
    ['a.a', 'b.b'],
  );
  const { query } = server.seen.find(({ route }) => route === 'listEvents')!;
  assert.deepEqual(query, { limit: 2, order: 'newest', category: 'audit', resourceId: anInstance().id });
});

test('--after lists what came since, oldest first', async () => {
  await using server = await serveContract({ listEvents: () => ({ items: [anEvent()] }) });
  await using cli = await captureCli(server.url);
  await cli.run(['events', '--after', '99-1']);
  assert.deepEqual(server.seen[0]?.query, { limit: 50, order: 'oldest', cursor: '99-1' });
});
