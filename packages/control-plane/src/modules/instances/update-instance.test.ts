import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { readDesiredInstance } from '@virga/contract/agent/desired';
import type { InstanceId } from '@virga/contract/ids';
import type { UpdateInstance } from '@virga/contract/rest/instance-attributes';
import { launchOf, SimulatedCloud } from '@virga/testing/simulated-cloud';
import { sql } from 'kysely';
import { deleteInstance, launchInstance, listInstances } from './instance-operations.ts';
import { createSchedule } from './schedule-operations.ts';
import { updateInstance } from './update-instance.ts';

let cloud: SimulatedCloud;
before(async () => {
  cloud = await SimulatedCloud.start();
  await cloud.prepare();
});
after(() => cloud.close());

const update = async (id: InstanceId, body: UpdateInstance, ifMatch?: number) => {
  const { instance, operationId } = await updateInstance(cloud.deps, cloud.operator, id, body, ifMatch);
  await cloud.succeeded(operationId);
  return instance;
};
const later = new Date(Date.now() + 86_400_000).toISOString();

test('an instance is renamed and described while it runs, and its domain with it', async () => {
  const { id } = await cloud.launch('old-name');
  const renamed = await update(id, { name: 'new-name', description: 'Serves the shop' });
  assert.deepEqual(
    [renamed.name, renamed.description, renamed.domainName],
    ['new-name', 'Serves the shop', `new-name.${id}`],
  );
  const xml = await cloud.host().domainXml(id);
  assert.match(xml, /<title>new-name<\/title>\n\s*<description>Serves the shop<\/description>/);
  const { startedAt, state } = await cloud.instance(id);
  assert.deepEqual([cloud.host().bootCount(id), state, startedAt], [1, 'running', renamed.startedAt]);
  const types = await cloud.eventTypes(id);
  assert.deepEqual(
    types.filter((type) => /started|rebooted/.test(type)),
    ['instance.started'],
    'told once, at the launch',
  );
  const { data } = await cloud.deps.db
    .selectFrom('events')
    .select('data')
    .where('resource_id', '=', id)
    .where('type', '=', 'instance.rename-requested')
    .executeTakeFirstOrThrow();
  assert.deepEqual(data, { name: 'new-name', description: 'Serves the shop' }, 'the audit says what was asked for');
  const reused = await cloud.launch('old-name');
  assert.notEqual(reused.id, id);
});

test('a name that another instance has is refused, and nothing has changed', async () => {
  await cloud.launch('taken');
  const { id, generation } = await cloud.launch('wants-it');
  const taken = { name: 'NameTaken', field: '/name' };
  await assert.rejects(updateInstance(cloud.deps, cloud.operator, id, { name: 'taken', description: 'x' }), taken);
  const { name, description, generation: unchanged } = await cloud.instance(id);
  assert.deepEqual([name, description, unchanged], ['wants-it', '', generation]);
});

test('what is left out stays, what is asked for again changes nothing, and a stale update is refused', async () => {
  const { id } = await cloud.launch('attributes');
  const first = await update(id, { tags: { env: 'test', role: 'web' }, autostart: 'never', crashPolicy: 'stop' });
  const second = await update(id, { tags: { env: null, tier: '1' } });
  assert.deepEqual(second.tags, { role: 'web', tier: '1' });
  assert.deepEqual([second.autostart, second.crashPolicy, second.generation], ['never', 'stop', first.generation + 1]);
  const again = await update(id, { tags: { tier: '1', none: null }, autostart: 'never', description: '' });
  assert.equal(again.generation, second.generation);
  await assert.rejects(update(id, { autostart: 'always' }, first.generation), { name: 'PreconditionFailed' });
});

test('a protected instance is not deleted, and cannot expire by being deleted', async () => {
  const { id } = await cloud.launch('protected');
  await update(id, { deleteProtection: true });
  await assert.rejects(deleteInstance(cloud.deps, cloud.operator, id), {
    name: 'Conflict',
    action: /virga set protected --no-protect/,
  });
  const refused = { name: 'InvalidArgument', field: '/expiryAction' };
  await assert.rejects(update(id, { expiresAt: later, expiryAction: 'delete' }), refused);
  await update(id, { expiresAt: later, expiryAction: 'stop' });
  await assert.rejects(update(id, { expiryAction: 'delete' }), refused);
  await update(id, { deleteProtection: false, expiryAction: 'delete' });
  await assert.rejects(update(id, { deleteProtection: true }), { name: 'InvalidArgument', field: '/deleteProtection' });
  const { expiresAt, expiryAction } = await update(id, { expiresAt: null });
  assert.deepEqual([expiresAt, expiryAction], [null, null]);
  const { operationId } = await deleteInstance(cloud.deps, cloud.operator, id);
  await cloud.succeeded(operationId);
});

test('the domain keeps what a lost database is rebuilt from', async () => {
  const tags = { env: 'prod' };
  const body = { ...launchOf('kept'), description: 'kept', tags, expiresAt: later, autostart: 'always' as const };
  const { instance, operationId } = await launchInstance(cloud.deps, cloud.operator, body);
  await cloud.succeeded(operationId);
  const schedule = await createSchedule(cloud.deps, cloud.operator, instance.id, {
    action: 'stop',
    cron: '0 18 * * *',
  });
  await update(instance.id, { deleteProtection: true });
  const xml = await cloud.host().domainXml(instance.id);
  const json = /<virga:instance[^>]*>([^<]*)</.exec(xml)![1]!.replaceAll('&quot;', '"');
  const kept = readDesiredInstance(JSON.parse(json))!;
  assert.equal(kept.description, 'kept');
  const { id, action, cron, timeZone, createdBy } = schedule;
  const policies = {
    deleteProtection: true,
    autostart: 'always',
    crashPolicy: 'restart',
    expiresAt: later,
    expiryAction: 'stop',
  };
  for (const [key, value] of Object.entries({
    tags,
    ...policies,
    schedules: [{ id, action, cron, timeZone, createdBy }],
  })) {
    assert.deepEqual(kept.keepsake[key], value, key);
  }
});

for (const point of ['metadata', 'after applyInstance']) {
  test(`killed at ${point} of a renaming, it is renamed all the same`, async () => {
    const { id } = await cloud.launch('before-kill');
    const reached = cloud.freezeAt(point);
    const body = { name: 'after-kill', description: 'Renamed', tags: { kept: 'yes' } };
    const { operationId } = await updateInstance(cloud.deps, cloud.operator, id, body);
    await reached;
    await cloud.kill();
    await cloud.startAgain();
    await cloud.succeeded(operationId);
    const { name, state } = await cloud.instance(id);
    assert.deepEqual([name, state, cloud.host().bootCount(id)], ['after-kill', 'running', 1]);
    assert.match(await cloud.host().domainXml(id), /<title>after-kill<.*\n.*<description>Renamed</);
    await cloud.succeeded((await deleteInstance(cloud.deps, cloud.operator, id)).operationId);
  });
}

test('an update goes along with what is under way', async () => {
  const reached = cloud.freezeAt('start');
  const { instance, operationId } = await launchInstance(cloud.deps, cloud.operator, launchOf('under-way'));
  await reached;
  const updated = await updateInstance(cloud.deps, cloud.operator, instance.id, { name: 'on-its-way' });
  assert.equal(updated.operationId, operationId);
  await cloud.kill();
  await cloud.startAgain();
  await cloud.succeeded(operationId);
  const { name, state } = await cloud.instance(instance.id);
  assert.deepEqual([name, state, cloud.host().bootCount(instance.id)], ['on-its-way', 'running', 1]);
  const types = await cloud.eventTypes(instance.id);
  assert.equal(types.filter((type) => type === 'instance.started').length, 1);
});

test('a list is filtered by tags, of which all must be there', async () => {
  const tagged: Record<string, Record<string, string>> = {
    'tagged-1': { env: 'list', role: 'web' },
    'tagged-2': { env: 'list', role: 'db', 'key with "quotes"': 'a=b' },
    'tagged-3': { role: 'web' },
  };
  for (const [name, tags] of Object.entries(tagged)) {
    await update((await cloud.launch(name)).id, { tags });
  }
  const names = async (...tag: string[]) => {
    const { items } = await listInstances(cloud.deps.db, cloud.operator, { tag });
    return items.map(({ name }) => name).filter((name) => name.startsWith('tagged'));
  };
  assert.deepEqual(await names('env=list'), ['tagged-1', 'tagged-2']);
  assert.deepEqual(await names('env'), ['tagged-1', 'tagged-2']);
  assert.deepEqual(await names('env=list', 'role=web'), ['tagged-1']);
  assert.deepEqual(await names('key with "quotes"=a=b'), ['tagged-2']);
  assert.deepEqual(await names('env=other'), []);
  assert.deepEqual(await names("x' or 1=1 --"), []);
});

test('among 100,000 instances those with a tag are found in an instant, the rare and the common', async (t) => {
  const { id } = await cloud.launch('pattern');
  const { db } = cloud.deps;
  t.after(() => sql`delete from instances where name like 'many-%'`.execute(db));
  const { rows } = await sql<{ name: string }>`select column_name as name from information_schema.columns
    where table_name = 'instances' and is_generated = 'NEVER' order by ordinal_position`.execute(db);
  const values: Record<string, string> = {
    id: "'i-' || lpad(to_hex(n), 17, '0')",
    name: "'many-' || n",
    domain_name: "'many-' || n",
    uuid: 'gen_random_uuid()',
    root_disk_id: "'vol-' || lpad(to_hex(n), 17, '0')",
    operation_id: 'null',
    tags: `case when n % 1000 = 0 then '{"env":"rare"}' when n % 2 = 0 then '{"env":"common"}' else '{}' end::jsonb`,
    created_at: "timestamptz '2030-01-01' + n * interval '1 second'",
  };
  const names = rows.map(({ name }) => name);
  const selected = names.map((name) => values[name] ?? `p.${name}`);
  await sql`insert into instances (${sql.raw(names.join(', '))})
    select ${sql.raw(selected.join(', '))} from instances p, generate_series(1, 100000) n where p.id = ${id}`.execute(
    db,
  );
  await sql`vacuum analyze instances`.execute(db);
  const medianOf = async (count: number, ...tag: string[]) => {
    const times: number[] = [];
    for (let round = 0; round < 5; round++) {
      const started = performance.now();
      const { items } = await listInstances(db, cloud.operator, { tag });
      times.push(performance.now() - started);
      assert.equal(items.length, count, tag.join());
    }
    return times.sort((a, b) => a - b)[2]!;
  };
  const plainMs = await medianOf(100);
  for (const [tag, count] of [
    ['env=rare', 100],
    ['env=common', 100],
    ['env=none', 0],
  ] as const) {
    const ms = await medianOf(count, tag);
    t.diagnostic(`100 of 100,000 with ${tag}: ${ms.toFixed(1)} ms, without a filter ${plainMs.toFixed(1)} ms`);
    assert.ok(ms < 10 * plainMs + 20, `${tag}: ${ms} ms`);
  }
});
