// Tickets of consoles over real HTTP, and the screen behind one seen by a real VNC handshake.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { createClient } from '@virga/contract/client';
import type { InstanceId, OperationId } from '@virga/contract/ids';
import type { ConsoleKind } from '@virga/contract/rest/instance-consoles';
import { seenScreen } from '@virga/testing/seen-screen';
import { SettableClock } from '@virga/testing/settable-clock';
import { startTemporaryCloud, type TemporaryCloud } from '@virga/testing/temporary-cloud';
import { until } from '@virga/testing/until';
import { openWebSocketStream, refusedUpgrade } from '@virga/testing/web-socket-stream';
import { maxOpenConsoles } from '../modules/instances/open-consoles.ts';

const folder = mkdtempSync(join(tmpdir(), 'virga-console-tickets-'));
const clock = new SettableClock(new Date('2030-01-01T07:00:00.000Z'));
let cloud: TemporaryCloud;
let id: InstanceId;
before(async () => {
  cloud = await startTemporaryCloud({ clock });
  const path = join(folder, 'disk.raw');
  writeFileSync(path, Buffer.alloc(1024 ** 2));
  const isReady = async () => (await cloud.client.listHosts({ query: {} })).items[0]?.state === 'ready';
  await until('the host is ready', isReady);
  await succeeded((await cloud.client.registerImage({ body: { name: 'disk', path, format: 'raw' } })).operationId);
  await succeeded((await cloud.client.createNetwork({ body: { name: 'default', cidr: '10.9.0.0/24' } })).operationId);
  const launched = await cloud.client.launchInstance({ body: { name: 'web', image: 'disk', type: 'tiny' } });
  await succeeded(launched.operationId);
  id = launched.instance.id;
});
after(async () => {
  await cloud.close();
  rmSync(folder, { recursive: true });
});

async function succeeded(operationId: OperationId): Promise<void> {
  const ended = await until('the operation has ended', async () => {
    const operation = await cloud.client.getOperation({ params: { id: operationId }, query: { waitSeconds: 20 } });
    return ['succeeded', 'failed'].includes(operation.state) && operation;
  });
  assert.equal(ended.state, 'succeeded', JSON.stringify(ended.error));
}

const ticketFor = (kind: ConsoleKind, client = cloud.client) =>
  client.createConsoleTicket({ params: { id }, body: { kind } });
const urlOf = ({ path }: { path: string }) => new URL(path, cloud.url);
const consoleEvents = async () =>
  (await cloud.client.listEvents({ query: { resourceId: id, category: 'audit' } })).items.filter(
    ({ type }) => type === 'instance.console-opened',
  );

test('a ticket opens the serial console, with the subprotocol that viewers ask for, and an event tells who did', async () => {
  const before = (await consoleEvents()).length;
  const { stream, protocol } = await openWebSocketStream(urlOf(await ticketFor('serial')), ['binary', 'base64']);
  assert.equal(protocol, 'binary');
  let heard = '';
  stream.on('data', (chunk) => {
    heard += chunk;
  });
  stream.write('say it again');
  await until('the guest echoes', () => heard.includes('say it again'));
  stream.destroy();
  const events = await until('the event is told', async () => {
    const all = await consoleEvents();
    return all.length > before && all;
  });
  assert.deepEqual([events.at(-1)?.actor, events.at(-1)?.data], ['admin', { kind: 'serial' }]);
});

test('a ticket opens the screen: a VNC client shakes hands and gets a picture', async () => {
  const { stream } = await openWebSocketStream(urlOf(await ticketFor('vnc')));
  const { name, width, height, picture } = await seenScreen(stream);
  assert.match(name, /web/);
  assert.equal(picture.pixels.length, width * height * 4);
});

test('a second use, a late one and a made-up one are refused in the same words, and the database knows hashes only', async () => {
  const used = await ticketFor('serial');
  const { rows } = await storedTickets();
  assert.ok(rows.length > 0 && rows.every((row) => !JSON.stringify(row).includes(used.ticket)));
  (await openWebSocketStream(urlOf(used))).stream.destroy();
  const late = await ticketFor('serial');
  const answers = [
    await refusedUpgrade(urlOf(used)),
    await refusedUpgrade(urlOf({ path: '/v1/consoles?ticket=made-up' })),
  ];
  clock.forward(30_000);
  answers.push(await refusedUpgrade(urlOf(late)));
  const words = answers.map(({ status, problem: { requestId, ...problem } }) => ({ status, problem }));
  assert.equal(words[0]?.status, 403);
  assert.deepEqual([words[1], words[2]], [words[0], words[0]]);
  await ticketFor('serial');
  assert.equal((await storedTickets()).rows.length, 1, 'tickets that are over are forgotten');
});

test('who has lost the role since the ticket was made is refused, and so is a page of another origin', async () => {
  const key = await cloud.addUser('guest', { roles: { default: 'operator' } });
  const client = createClient({ server: cloud.url, ...key, project: 'default' });
  const ticket = await ticketFor('vnc', client);
  const { items } = await cloud.client.listMembers();
  const { userId } = items.find(({ userName }) => userName === 'guest')!;
  await cloud.client.setMember({ params: { id: userId }, body: { role: 'viewer' } });
  assert.equal((await refusedUpgrade(urlOf(ticket))).status, 403);
  const other = await ticketFor('vnc');
  assert.equal((await refusedUpgrade(urlOf(other), { origin: 'http://elsewhere.example' })).status, 403);
});

test('a console ends with its instance, and only so many are open at one time', async () => {
  const open = await Promise.all(
    Array.from({ length: maxOpenConsoles }, async (_, index) =>
      openWebSocketStream(urlOf(await ticketFor(index % 2 === 0 ? 'vnc' : 'serial'))),
    ),
  );
  const refused = await refusedUpgrade(urlOf(await ticketFor('vnc')));
  assert.deepEqual([refused.status, refused.problem.code], [429, 'TooManyRequests']);
  const ended = open.map(
    ({ stream }) =>
      new Promise((resolve) => {
        stream.once('end', resolve);
        stream.resume();
      }),
  );
  await succeeded((await cloud.client.destroyInstance({ params: { id } })).operationId);
  await Promise.all(ended);
  const stopped = await refusedUpgrade(urlOf(await ticketFor('vnc')));
  assert.deepEqual([stopped.status, stopped.problem.code], [409, 'Conflict']);
  await assert.rejects(cloud.client.getScreenshot({ params: { id } }), { name: 'Conflict' });
  await succeeded((await cloud.client.startInstance({ params: { id } })).operationId);
  const again = await until('there is room again', () =>
    ticketFor('vnc').then((ticket) => openWebSocketStream(urlOf(ticket)).catch(() => undefined)),
  );
  again.stream.destroy();
  const { data } = await cloud.client.getScreenshot({ params: { id } });
  assert.equal(Buffer.from(data, 'base64').toString('latin1', 1, 4), 'PNG');
});

async function storedTickets() {
  const { default: pg } = await import('pg');
  const database = new pg.Client(cloud.database);
  await database.connect();
  try {
    return await database.query('select encode(sha256, $1) as hash, kind from console_tickets', ['escape']);
  } finally {
    await database.end();
  }
}
