// What start, stop, reboot, destroy, delete and launch have in common: names, waiting, interrupts, questions, many at once.
import assert from 'node:assert/strict';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { test } from 'node:test';
import { toProblem, VirgaError } from '@virga/contract/errors';
import { captureCli } from '@virga/testing/captured-cli';
import { anInstance, anOperation } from '@virga/testing/contract-examples';
import { type Handlers, serveContract } from '@virga/testing/contract-server';

const operationId = 'op-00000000000000001';
const web = anInstance();
const db = anInstance({ id: 'i-00000000000000002', name: 'db' });
const change = { instance: web, operationId } as const;
const byName = [web, db];

const cloud: Handlers = {
  listInstances: ({ query }) => ({ items: byName.filter(({ name }) => !query.name || name === query.name) }),
  getInstance: ({ params }) => byName.find(({ id }) => id === params.id) ?? web,
  stopInstance: ({ params }) => ({ instance: byName.find(({ id }) => id === params.id) ?? web, operationId }),
  startInstance: () => change,
  rebootInstance: () => change,
  deleteInstance: () => change,
  launchInstance: () => change,
  listKeyPairs: () => ({ items: [] }),
};

test('an instance is found by its name and by its id', async () => {
  await using server = await serveContract(cloud);
  await using cli = await captureCli(server.url);
  const run = await cli.run(['stop', 'db', web.id]);
  assert.equal(run.exit, 0, run.stderr);
  assert.equal(run.stdout, 'instance db: stop requested\ninstance web: stop requested\n');
});

test('a name that is nearly right is suggested, and nothing is changed', async () => {
  await using server = await serveContract(cloud);
  await using cli = await captureCli(server.url);
  const run = await cli.run(['stop', 'db', 'wbe']);
  assert.equal(run.exit, 3);
  assert.match(
    run.stderr,
    /There is no instance named wbe\.\n {2}try: Did you mean web\? virga list shows what there is\./,
  );
  assert.ok(!server.seen.some(({ route }) => route === 'stopInstance'));
});

test('waiting shows progress as lines where nobody looks, and answers with what became of it', async () => {
  const states = [
    anOperation({ state: 'running', progressPercent: 10, message: 'cloning the disk' }),
    anOperation({ state: 'running', progressPercent: 60, message: 'starting the domain' }),
    anOperation(),
  ];
  await using server = await serveContract({ ...cloud, getOperation: () => states.shift() ?? anOperation() });
  await using cli = await captureCli(server.url);
  const run = await cli.run(['start', 'web', '--wait']);
  assert.equal(run.exit, 0);
  assert.equal(run.stdout, 'instance web: running at 10.77.0.10\n');
  assert.equal(
    run.stderr,
    'web: cloning the disk (10 %)\nweb: starting the domain (60 %)\nweb: running at 10.77.0.10\n',
  );
});

test('waiting shows a bar on a terminal, and takes it away', async () => {
  const states = [anOperation({ state: 'running', progressPercent: 50, message: 'cloning the disk' }), anOperation()];
  await using server = await serveContract({ ...cloud, getOperation: () => states.shift() ?? anOperation() });
  await using cli = await captureCli(server.url);
  const run = await cli.run(['start', 'web', '--wait', '--no-color'], { columns: 80 });
  assert.match(run.stderr, /web {2}█{10}░{10} {3}50 % {2}cloning the disk {2}0s\n/);
  assert.ok(run.stderr.endsWith('\u001b[1A\r\u001b[J\u001b[?25h'), JSON.stringify(run.stderr.slice(-40)));
});

test('an operation that failed is told with its own error and exit code', async () => {
  const error = toProblem(
    new VirgaError('NoCapacity', { detail: 'No host has room for small.', action: 'Delete something.' }),
  );
  await using server = await serveContract({
    ...cloud,
    getOperation: () => anOperation({ state: 'failed', message: 'failed', error }),
  });
  await using cli = await captureCli(server.url);
  const run = await cli.run(['start', 'web', '--wait']);
  assert.equal(run.exit, 7);
  assert.match(run.stderr, /error: No host has room for small\.\n {2}try: Delete something\.\n$/);
});

test('one failure does not keep the others from being done, and decides the exit code', async () => {
  await using server = await serveContract({
    ...cloud,
    stopInstance: ({ params }) => {
      if (params.id === db.id) throw new VirgaError('Conflict', { detail: 'db is going away.', action: 'Wait.' });
      return change;
    },
  });
  await using cli = await captureCli(server.url);
  const run = await cli.run(['stop', 'db', 'web']);
  assert.equal(run.exit, 4);
  assert.equal(run.stdout, 'instance web: stop requested\n');
  assert.match(run.stderr, /error: instance db: db is going away\./);
  const asJson = await cli.run(['stop', 'db', 'web', '-o', 'json']);
  const [first, second] = JSON.parse(asJson.stdout);
  assert.equal(first.error.code, 'Conflict');
  assert.equal(second.operationId, operationId);
});

test('Ctrl-C while waiting says that the operation goes on and how to look at it, with exit 130', async () => {
  const interrupt = new AbortController();
  await using server = await serveContract({
    ...cloud,
    getOperation: () => {
      setImmediate(() => interrupt.abort());
      return anOperation({ state: 'running', progressPercent: 10, message: 'cloning the disk' });
    },
  });
  await using cli = await captureCli(server.url);
  const run = await cli.run(['start', 'web', '--wait'], { interrupt: interrupt.signal });
  assert.equal(run.exit, 130);
  assert.match(
    run.stderr,
    /Stopped waiting\. The operation op-0+1 goes on; follow with: virga operations wait op-0+1\n$/,
  );
});

test('a server that restarts while one waits is waited for', async () => {
  let asked = 0;
  await using server = await serveContract({
    ...cloud,
    getOperation: () => {
      asked += 1;
      if (asked > 2) return anOperation();
      throw new VirgaError('StoreUnavailable', { detail: 'The database is away.', action: 'Wait.' });
    },
  });
  await using cli = await captureCli(server.url);
  const run = await cli.run(['start', 'web', '--wait']);
  assert.equal(run.exit, 0, run.stderr);
  assert.match(run.stderr, /web: waiting for the server\n/);
});

test('without a terminal and without --yes nothing is deleted', async () => {
  await using server = await serveContract(cloud);
  await using cli = await captureCli(server.url);
  const run = await cli.run(['delete', 'web']);
  assert.equal(run.exit, 2);
  assert.match(
    run.stderr,
    /Delete instance web with its disk\? This cannot be undone, .*\n {2}try: Add --yes when you are sure\./,
  );
  assert.ok(!server.seen.some(({ route }) => route === 'deleteInstance'));
});

for (const [answer, exit, asked] of [
  ['y', 0, true],
  ['n', 130, false],
  ['\u0003', 130, false],
] as const) {
  test(`at a terminal the question is answered with ${JSON.stringify(answer)}`, async () => {
    await using server = await serveContract(cloud);
    await using cli = await captureCli(server.url);
    let typed = false;
    const run = await cli.run(['delete', 'web'], {
      columns: 80,
      onOutput: ({ stderr }, type) => {
        if (typed || !stderr.includes('Delete instance web with its disk?')) return;
        typed = true;
        setImmediate(() => type(answer));
      },
    });
    assert.equal(run.exit, exit, run.stderr);
    assert.equal(
      server.seen.some(({ route }) => route === 'deleteInstance'),
      asked,
    );
    if (!asked) assert.match(run.stderr, /Nothing was changed\.\n$/);
  });
}

test('launch gives several instances numbered names, each under an idempotency key of its own', async () => {
  await using server = await serveContract(cloud);
  await using cli = await captureCli(server.url);
  const run = await cli.run(['launch', 'node', '--image', 'starter', '--type', 'small', '--count', '3']);
  assert.equal(run.exit, 0, run.stderr);
  const launches = server.seen.filter(({ route }) => route === 'launchInstance');
  assert.deepEqual(launches.map(({ body }) => (body as { name: string }).name).sort(), ['node-1', 'node-2', 'node-3']);
  assert.equal(new Set(launches.map(({ headers }) => headers['idempotency-key'])).size, 3);
});

test('launch sends what was asked for, and invents a name from the image', async () => {
  await using server = await serveContract(cloud);
  await using cli = await captureCli(server.url);
  const options = '--network lab --key a --key b --disk 8 --firmware uefi --pool fast --full'.split(' ');
  const argv = ['launch', '--image', 'starter', '--type', 'small', ...options, '--user-data', '-'];
  await cli.run(argv, { input: '#!/bin/sh\n' });
  const { name, ...body } = server.seen.find(({ route }) => route === 'launchInstance')!.body as { name: string };
  assert.match(name, /^starter-[0-9a-f]{4}$/);
  assert.deepEqual(body, {
    image: 'starter',
    type: 'small',
    network: 'lab',
    keyPairs: ['a', 'b'],
    diskGib: 8,
    pool: 'fast',
    clone: 'full',
    firmware: 'uefi',
    userData: Buffer.from('#!/bin/sh\n').toString('base64'),
    warm: 'auto', // the contract's default
  });
});

test('--wait=ssh waits until the SSH server of the guest greets', async () => {
  const greetings: string[] = [];
  const guest = createServer((socket) => {
    // The first connection finds a port that is open and silent, as while a guest boots.
    if (greetings.push('asked') === 1) socket.end();
    else socket.end('SSH-2.0-dropbear\r\n');
  });
  await new Promise<void>((resolve) => guest.listen(0, '127.0.0.1', resolve));
  try {
    const nic = { ...web.networkInterfaces[0]!, address: '127.0.0.1' };
    await using server = await serveContract({
      ...cloud,
      getInstance: () => ({ ...web, networkInterfaces: [nic] }),
      getOperation: () => anOperation(),
    });
    await using cli = await captureCli(server.url, { VIRGA_SSH_PORT: String((guest.address() as AddressInfo).port) });
    const run = await cli.run(['start', 'web', '--wait=ssh']);
    assert.equal(run.exit, 0, run.stderr);
    assert.match(run.stderr, /web: waiting for SSH at 127\.0\.0\.1/);
    assert.equal(greetings.length, 2);
  } finally {
    guest.close();
  }
});

test('an empty list says on stderr what to do next, and is an empty array for a program', async () => {
  await using server = await serveContract({ listInstances: () => ({ items: [] }) });
  await using cli = await captureCli(server.url);
  assert.deepEqual(await cli.run(['list']), {
    exit: 0,
    stdout: '',
    stderr: 'There is no instance. Launch one with virga launch.\n',
  });
  assert.equal((await cli.run(['list', '-o', 'json'])).stdout, '[]\n');
});

test('--quiet leaves ids only', async () => {
  await using server = await serveContract(cloud);
  await using cli = await captureCli(server.url);
  assert.deepEqual(await cli.run(['list', '-q']), { exit: 0, stdout: `${web.id}\n${db.id}\n`, stderr: '' });
  assert.deepEqual(await cli.run(['stop', 'web', '--quiet']), { exit: 0, stdout: `${web.id}\n`, stderr: '' });
});

test('a list walks every page', async () => {
  await using server = await serveContract({
    listInstances: ({ query }) => (query.cursor ? { items: [db] } : { items: [web], next: 'page-2' }),
  });
  await using cli = await captureCli(server.url);
  assert.equal((await cli.run(['list', '-q'])).stdout, `${web.id}\n${db.id}\n`);
});

test('a reboot is by one of its ways, and says which', async () => {
  await using server = await serveContract(cloud);
  await using cli = await captureCli(server.url);
  const ways: [string[], Record<string, unknown>][] = [
    [[], { timeoutSeconds: 60 }],
    [['--mode', 'agent'], { mode: 'agent', timeoutSeconds: 60 }],
    [['--hard'], { hard: true, timeoutSeconds: 60 }],
    [['--cycle', '--timeout', '5'], { mode: 'cycle', timeoutSeconds: 5 }],
  ];
  for (const [options, body] of ways) {
    const run = await cli.run(['reboot', 'web', ...options]);
    assert.equal(run.exit, 0, run.stderr);
    assert.deepEqual(server.seen.at(-1)?.body, body);
  }
  for (const options of [
    ['--hard', '--cycle'],
    ['--mode', 'acpi', '--hard'],
    ['--timeout', '5'],
  ]) {
    const run = await cli.run(['reboot', 'web', ...options]);
    assert.equal(run.exit, 2, options.join(' '));
  }
});

test('only what hibernates is woken; anything else is told which verb helps, and nothing is changed', async () => {
  const instance = (state: 'stopped' | 'paused' | 'hibernated') => anInstance({ state, desiredState: state });
  for (const [state, exit, help] of [
    ['stopped', 4, /virga start web/],
    ['paused', 4, /virga resume web/],
    ['hibernated', 0, /^/],
  ] as const) {
    await using server = await serveContract({ ...cloud, listInstances: () => ({ items: [instance(state)] }) });
    await using cli = await captureCli(server.url);
    const run = await cli.run(['wake', 'web']);
    assert.equal(run.exit, exit, run.stderr);
    assert.match(run.stderr, help);
    assert.equal(server.seen.filter(({ route }) => route === 'startInstance').length, state === 'hibernated' ? 1 : 0);
  }
});
