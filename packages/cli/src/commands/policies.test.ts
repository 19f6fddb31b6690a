// Instances chosen by what they have in common, and what can be set of them.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { VirgaError } from '@virga/contract/errors';
import { captureCli } from '@virga/testing/captured-cli';
import { anInstance, exampleNowMs } from '@virga/testing/contract-examples';
import { type ContractServer, type Handlers, serveContract } from '@virga/testing/contract-server';

const operationId = 'op-00000000000000001';
const idOf = (number: number) => `i-${String(number).padStart(17, '0')}` as const;
const web = anInstance({ tags: { env: 'test' } });
const db = anInstance({ id: idOf(2), name: 'db', tags: { env: 'test', role: 'db' } });
const going = anInstance({ id: idOf(3), name: 'going', desiredState: 'deleted', state: 'deleting' });
const all = [web, db, going];
const found = (id: string) => all.find((instance) => instance.id === id) ?? web;

const cloud: Handlers = {
  listInstances: ({ query: { name, tag = [], state } }) => ({
    items: all.filter(
      (instance) =>
        (!name || instance.name === name) &&
        (!state || instance.state === state) &&
        tag.every((one) =>
          Object.entries(instance.tags).some(([key, value]) => one === key || one === `${key}=${value}`),
        ),
    ),
  }),
  getInstance: ({ params }) => found(params.id),
  stopInstance: ({ params }) => ({ instance: found(params.id), operationId }),
  deleteInstance: ({ params }) => ({ instance: found(params.id), operationId }),
  updateInstance: ({ params }) => ({ instance: found(params.id), operationId }),
  launchInstance: () => ({ instance: web, operationId }),
};

const calls = (server: ContractServer, route: string) => server.seen.filter((request) => request.route === route);

test('a verb takes a tag, a state or all instead of names, and leaves out what is being deleted', async () => {
  await using server = await serveContract(cloud);
  await using cli = await captureCli(server.url);
  const both = 'instance web: stop requested\ninstance db: stop requested\n';
  assert.equal((await cli.run(['stop', '--tag', 'env=test'])).stdout, both);
  assert.deepEqual(calls(server, 'listInstances').at(-1)?.query, { limit: 1000, tag: ['env=test'] });
  const one = await cli.run(['stop', '--tag', 'env=test', '--tag', 'role=db', '--state', 'running']);
  assert.equal(one.stdout, 'instance db: stop requested\n');
  assert.equal((await cli.run(['stop', '--all'])).stdout, both);
});

test('a filter that nothing matches says so, and nothing is changed', async () => {
  await using server = await serveContract(cloud);
  await using cli = await captureCli(server.url);
  const run = await cli.run(['stop', '--tag', 'env=prod', '--state', 'running']);
  assert.equal(run.exit, 3);
  assert.match(run.stderr, /No instance matches --tag env=prod --state running\.\n {2}try: Nothing was changed; /);
  assert.equal(calls(server, 'stopInstance').length, 0);
});

test('names and a filter, neither of them, and all with a filter are mistakes', async () => {
  await using server = await serveContract(cloud);
  await using cli = await captureCli(server.url);
  for (const argv of [[], ['web', '--all'], ['web', '--tag', 'env'], ['--all', '--state', 'running']]) {
    assert.equal((await cli.run(['stop', ...argv])).exit, 2, argv.join(' '));
  }
  assert.match((await cli.run(['stop'])).stderr, /Name instances, or choose them with --tag, --state or --all\./);
  assert.equal(server.seen.length, 0);
});

test('delete --all asks, and without a terminal needs --yes', async () => {
  await using server = await serveContract(cloud);
  await using cli = await captureCli(server.url);
  const run = await cli.run(['delete', '--all']);
  assert.equal(run.exit, 2);
  assert.match(run.stderr, /Delete 2 instances \(web, db\)/);
  assert.equal(calls(server, 'deleteInstance').length, 0);
  assert.equal((await cli.run(['delete', '--all', '--yes'])).exit, 0);
  assert.equal(calls(server, 'deleteInstance').length, 2);
});

test('each instance has its own result, at most eight are asked for at once, and the worst decides the exit code', async () => {
  const many = Array.from({ length: 30 }, (_, index) => anInstance({ id: idOf(index + 1), name: `web-${index + 1}` }));
  let [current, most] = [0, 0];
  const eightAreThere = Promise.withResolvers<void>();
  await using server = await serveContract({
    listInstances: () => ({ items: many }),
    stopInstance: async ({ params }) => {
      most = Math.max(most, ++current);
      if (current === 8) eightAreThere.resolve();
      await eightAreThere.promise;
      current -= 1;
      const instance = many.find(({ id }) => id === params.id)!;
      if (instance.name === 'web-2') throw new VirgaError('NotFound', { detail: 'It is gone.', action: 'Look.' });
      if (instance.name === 'web-9') throw new VirgaError('NoCapacity', { detail: 'No room.', action: 'Wait.' });
      if (instance.name === 'web-20') throw new VirgaError('Conflict', { detail: 'Not now.', action: 'Wait.' });
      return { instance, operationId };
    },
  });
  await using cli = await captureCli(server.url);
  const run = await cli.run(['stop', '--all']);
  assert.equal(run.exit, 7);
  assert.equal(run.stdout.split('\n').filter((line) => / stop requested$/.test(line)).length, 27);
  const errors = run.stderr.split('\n').filter((line) => line.startsWith('error: '));
  assert.deepEqual(errors, [
    'error: instance web-2: It is gone.',
    'error: instance web-9: No room.',
    'error: instance web-20: Not now.',
  ]);
  assert.equal(most, 8);
});

test('set sends what was given and nothing else', async () => {
  await using server = await serveContract(cloud);
  await using cli = await captureCli(server.url, {}, exampleNowMs);
  const sent = async (...argv: string[]) => {
    const run = await cli.run(['set', ...argv]);
    assert.equal(run.exit, 0, run.stderr);
    return calls(server, 'updateInstance').at(-1)?.body;
  };
  assert.deepEqual(await sent('web', '--tag', 'env=prod', '--tag', 'note=a=b', '--untag', 'old'), {
    tags: { env: 'prod', note: 'a=b', old: null },
  });
  assert.deepEqual(await sent('web', '--protect', '--autostart', 'always', '--on-crash', 'stop', '--description', ''), {
    deleteProtection: true,
    autostart: 'always',
    crashPolicy: 'stop',
    description: '',
  });
  assert.deepEqual(await sent('web', '--expires', '8h', '--expiry-action', 'delete'), {
    expiresAt: '2026-03-01T22:00:00.000Z',
    expiryAction: 'delete',
  });
  assert.deepEqual(await sent('--tagged', 'role=db', '--never-expires', '--no-protect'), {
    expiresAt: null,
    deleteProtection: false,
  });
  assert.deepEqual(calls(server, 'updateInstance').at(-1)?.params, { id: db.id });
});

test('set without anything to set, or with what cannot be together, changes nothing', async () => {
  await using server = await serveContract(cloud);
  await using cli = await captureCli(server.url);
  for (const argv of [
    [],
    ['--tag', 'env'],
    ['--protect', '--no-protect'],
    ['--expires', '8h', '--never-expires'],
    ['--expires', 'soon'],
  ]) {
    assert.equal((await cli.run(['set', 'web', ...argv])).exit, 2, argv.join(' '));
  }
  assert.equal(calls(server, 'updateInstance').length, 0);
});

test('launch sends tags and policies', async () => {
  await using server = await serveContract(cloud);
  await using cli = await captureCli(server.url, {}, exampleNowMs);
  const options = ['--tag', 'env=test', '--protect', '--description', 'The shop', '--expires', '2026-12-01T18:00Z'];
  const run = await cli.run(['launch', 'web', '--image', 'starter', '--type', 'small', '--no-key', ...options]);
  assert.equal(run.exit, 0, run.stderr);
  const { tags, deleteProtection, description, expiresAt } = calls(server, 'launchInstance')[0]!.body as Record<
    string,
    unknown
  >;
  assert.deepEqual(
    [tags, deleteProtection, description, expiresAt],
    [{ env: 'test' }, true, 'The shop', '2026-12-01T18:00:00.000Z'],
  );
});

test('list shows tags when that is asked for', async () => {
  await using server = await serveContract(cloud);
  await using cli = await captureCli(server.url);
  const run = await cli.run(['list', '--tags', '--tag', 'role']);
  assert.match(run.stdout, / TAGS\n/);
  assert.ok(!(await cli.run(['list'])).stdout.includes('TAGS'));
});
