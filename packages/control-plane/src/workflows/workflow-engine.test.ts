import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { VirgaError } from '@virga/contract/errors';
import type { OperationId } from '@virga/contract/ids';
import { openTemporaryStore, type TemporaryStore } from '@virga/testing/temporary-store';
import { until } from '@virga/testing/until';
import { sql } from 'kysely';
import { pino } from 'pino';
import { AgentRegistry } from '../agents/agent-registry.ts';
import { type Deps, defaultSettings, systemClock } from '../deps.ts';
import { createSeal } from '../modules/identity/seal.ts';
import { startWorkflow, step, type Workflow, workflow } from './workflow.ts';
import { WorkflowEngine } from './workflow-engine.ts';
import { takeLeases } from './workflow-lease.ts';

let store: TemporaryStore;
before(async () => {
  store = await openTemporaryStore();
});
after(() => store.close());

const deps = (): Deps => ({
  db: store.db,
  notifications: store.notifications,
  clock: systemClock,
  log: pino({ level: 'silent' }),
  settings: defaultSettings,
  cloudId: 'test',
  agents: new AgentRegistry([]),
  seal: createSeal(Buffer.alloc(32)),
});

const stepCount = 3;
type Input = { name: string };
/** What a step did, as `do 0`, `undo 0`; and what it wrote, in the table of settings. */
type World = { acts: string[]; onAct: (act: string, times: number) => Promise<void> };

function threeSteps(kind: string, world: World): Workflow {
  const act = async (name: string) => {
    world.acts.push(name);
    await world.onAct(name, world.acts.filter((done) => done === name).length);
  };
  return workflow<Input>({
    kind,
    steps: Array.from({ length: stepCount }, (_, index) =>
      step<Input>({
        message: `step ${index}`,
        act: () => act(`do ${index}`),
        record: async (tx, { input }) => {
          await tx
            .insertInto('settings')
            .values({ key: `${input.name} ${index}`, value: '1' })
            .execute();
        },
        undo: () => act(`undo ${index}`),
        unrecord: async (tx, { input }) => {
          await tx.deleteFrom('settings').where('key', '=', `${input.name} ${index}`).execute();
        },
      }),
    ),
    failed: async (tx, { input }) => {
      await tx
        .insertInto('settings')
        .values({ key: `${input.name} failed`, value: '1' })
        .execute();
    },
  });
}

const begin = (kind: string, name = kind) =>
  store.db
    .transaction()
    .execute((tx) =>
      startWorkflow(
        tx,
        store.system,
        kind,
        { projectId: store.projectId, resourceId: kind, resourceName: kind },
        { name },
      ),
    );

const engineFor = (definition: Workflow, leaseMs = 30_000, isAlone = true) =>
  new WorkflowEngine({ deps: deps(), access: store.system, workflows: [definition], leaseMs, isAlone });

const operation = (id: OperationId) =>
  store.db.selectFrom('operations').selectAll().where('id', '=', id).executeTakeFirstOrThrow();
const ended = (id: OperationId) =>
  until(`${id} has ended`, async () => {
    const row = await operation(id);
    return row.finished_at !== null && row;
  });
const records = async (name: string) =>
  (await store.db.selectFrom('settings').select('key').where('key', 'like', `${name} %`).orderBy('key').execute()).map(
    ({ key }) => key.slice(name.length + 1),
  );
const refusal = new VirgaError('ImageUnusable', { detail: 'It is corrupt.', action: 'Take another one.' });
const never = new Promise<void>(() => {});

test('steps run in order, each is recorded, and the operation succeeds', async () => {
  const world: World = { acts: [], onAct: async () => {} };
  const engine = engineFor(threeSteps('test.plain', world));
  await engine.start();
  const row = await ended(await begin('test.plain'));
  assert.equal(row.state, 'succeeded');
  assert.equal(row.progress_percent, 100);
  assert.deepEqual(world.acts, ['do 0', 'do 1', 'do 2']);
  assert.deepEqual(await records('test.plain'), ['0', '1', '2']);
  await engine.close();
});

for (let failing = 0; failing < stepCount; failing++) {
  test(`when step ${failing} fails for good, what was done is undone in reverse`, async () => {
    const kind = `test.fail-${failing}`;
    const onAct = async (act: string) => {
      if (act === `do ${failing}`) throw refusal;
    };
    const world: World = { acts: [], onAct };
    const engine = engineFor(threeSteps(kind, world));
    await engine.start();
    const row = await ended(await begin(kind));
    assert.equal(row.state, 'failed');
    assert.equal(row.error?.code, 'ImageUnusable');
    const undone = world.acts.filter((act) => act.startsWith('undo'));
    assert.deepEqual(
      undone,
      Array.from({ length: failing + 1 }, (_, index) => `undo ${failing - index}`),
    );
    assert.deepEqual(await records(kind), ['failed']);
    await engine.close();
  });

  test(`an engine that dies in step ${failing} is followed by one that goes on with that step`, async () => {
    const kind = `test.die-${failing}`;
    const died = Promise.withResolvers<void>();
    const dying: World = {
      acts: [],
      onAct: async (act) => {
        if (act !== `do ${failing}`) return;
        died.resolve();
        await never;
      },
    };
    const first = engineFor(threeSteps(kind, dying));
    await first.start();
    const id = await begin(kind);
    await died.promise;
    const world: World = { acts: [], onAct: async () => {} };
    const second = engineFor(threeSteps(kind, world));
    await second.start();
    assert.equal((await ended(id)).state, 'succeeded');
    assert.deepEqual(
      world.acts,
      Array.from({ length: stepCount - failing }, (_, index) => `do ${failing + index}`),
    );
    assert.deepEqual(await records(kind), ['0', '1', '2']);
    await second.close();
    void first.close();
  });

  test(`an engine that dies in the undo of step ${failing} is followed by one that goes on undoing`, async () => {
    const kind = `test.die-undo-${failing}`;
    const died = Promise.withResolvers<void>();
    const failLast = async (act: string) => {
      if (act === `do ${stepCount - 1}`) throw refusal;
    };
    const dying: World = {
      acts: [],
      onAct: async (act) => {
        await failLast(act);
        if (act !== `undo ${failing}`) return;
        died.resolve();
        await never;
      },
    };
    const first = engineFor(threeSteps(kind, dying));
    await first.start();
    const id = await begin(kind);
    await died.promise;
    const world: World = { acts: [], onAct: failLast };
    const second = engineFor(threeSteps(kind, world));
    await second.start();
    const row = await ended(id);
    assert.equal(row.error?.code, 'ImageUnusable');
    assert.deepEqual(
      world.acts,
      Array.from({ length: failing + 1 }, (_, index) => `undo ${failing - index}`),
    );
    assert.deepEqual(await records(kind), ['failed']);
    await second.close();
    void first.close();
  });
}

test('every step may run twice: an engine that comes back after it was thought dead changes nothing', async () => {
  const kind = 'test.fenced';
  const entered = Promise.withResolvers<void>();
  const released = Promise.withResolvers<void>();
  const slow: World = {
    acts: [],
    onAct: async () => {
      entered.resolve();
      await released.promise;
    },
  };
  const old = engineFor(threeSteps(kind, slow));
  await old.start();
  const id = await begin(kind);
  await entered.promise;
  const world: World = { acts: [], onAct: async () => {} };
  const young = engineFor(threeSteps(kind, world));
  await young.start();
  await ended(id);
  released.resolve();
  await old.close();
  assert.deepEqual(slow.acts, ['do 0'], 'the old one ran its step to the end and then stopped');
  assert.deepEqual(await records(kind), ['0', '1', '2'], 'each was recorded once');
  assert.equal((await operation(id)).state, 'succeeded');
  await young.close();
});

test('two engines at once never take the same workflow', async () => {
  const kind = 'test.shared';
  const world: World = { acts: [], onAct: async () => {} };
  const engines = [0, 1].map(() => engineFor(threeSteps(kind, world), 30_000, false));
  for (const engine of engines) await engine.start();
  const ids: OperationId[] = [];
  for (let index = 0; index < 10; index++) {
    ids.push(
      await store.db
        .transaction()
        .execute((tx) =>
          startWorkflow(
            tx,
            store.system,
            kind,
            { projectId: store.projectId, resourceId: kind, resourceName: kind },
            { name: `${kind}-${index}` },
          ),
        ),
    );
  }
  for (const id of ids) assert.equal((await ended(id)).state, 'succeeded');
  assert.equal(world.acts.length, 10 * stepCount);
  for (const engine of engines) await engine.close();
});

test('workflows that take long do not hold up short ones', async (t) => {
  const [long, short] = ['test.long', 'test.short'];
  const release = Promise.withResolvers<void>();
  const world: World = { acts: [], onAct: () => release.promise };
  const slow: Workflow = { ...threeSteps(long, world), isLong: true };
  const quick = threeSteps(short, { acts: [], onAct: async () => {} });
  const engine = new WorkflowEngine({
    ...{ deps: deps(), access: store.system, workflows: [slow, quick], concurrency: 2, isAlone: true },
  });
  t.after(async () => {
    release.resolve();
    await engine.close();
  });
  const waiting = [await begin(long, 'first'), await begin(long, 'second'), await begin(long, 'third')];
  await engine.start();
  assert.equal((await ended(await begin(short))).state, 'succeeded');
  assert.deepEqual(world.acts, ['do 0', 'do 0']);
  await until('the third says what it waits for', async () => {
    const { message } = await operation(waiting[2]!);
    return message === 'waits for 2 others';
  });
  release.resolve();
  for (const id of waiting) await ended(id);
});

test('those that would wait for each other take one place, in their order, and what is put off lets the next go first', async (t) => {
  const kind = 'test.turn';
  const release = Promise.withResolvers<void>();
  const began: string[] = [];
  let isAway = true;
  const turns: Workflow = {
    kind,
    steps: [
      {
        message: 'working',
        act: async ({ input }) => {
          began.push(String(input.name));
          if (input.name === 'a1' && isAway) {
            isAway = false;
            throw new VirgaError('HostUnavailable', { detail: 'The host is away.', action: 'Wait.' });
          }
          if (input.name !== 'a1') await release.promise;
        },
      },
    ],
  };
  const ids: OperationId[] = [];
  for (const name of ['a1', 'a2', 'a3', 'b1', 'none']) {
    const turn = name === 'none' ? {} : { turn: `${kind}-${name[0]}` };
    const of = { projectId: store.projectId, resourceId: kind, resourceName: kind };
    const begins = store.db.transaction().execute((tx) => startWorkflow(tx, store.system, kind, of, { name, ...turn }));
    ids.push(await begins);
  }
  const engine = engineFor(turns);
  t.after(async () => {
    release.resolve();
    await engine.close();
  });
  await engine.start();
  await until('the one that is put off has let the next of its turn begin', async () => began.length >= 4);
  assert.deepEqual(began.toSorted(), ['a1', 'a2', 'b1', 'none']);
  release.resolve();
  for (const id of ids) assert.equal((await ended(id)).state, 'succeeded');
  const ofTurn = began.filter((name) => name.startsWith('a'));
  assert.deepEqual(ofTurn.slice(0, 2), ['a1', 'a2']);
  assert.deepEqual(ofTurn.toSorted(), ['a1', 'a1', 'a2', 'a3']);
});

test('a lease that runs out is taken by another engine', async () => {
  const kind = 'test.expired';
  const id = await begin(kind);
  await takeLeases(store.db, 'a server that lost its power', 10, 300);
  const world: World = { acts: [], onAct: async () => {} };
  const engine = engineFor(threeSteps(kind, world), 30_000, false);
  await engine.start();
  assert.equal((await ended(id)).state, 'succeeded');
  await engine.close();
});

test('a step that waits for a host is tried again, and the operation says what it waits for', async () => {
  const kind = 'test.waiting';
  const away = new VirgaError('HostUnavailable', { detail: 'The host is away.', action: 'Wait.' });
  const world: World = {
    acts: [],
    onAct: async (act, times) => {
      if (act === 'do 1' && times === 1) throw away;
    },
  };
  const engine = engineFor(threeSteps(kind, world));
  await engine.start();
  const id = await begin(kind);
  await until('it says what it waits for', async () => /waiting: The host is away/.test((await operation(id)).message));
  assert.equal((await ended(id)).state, 'succeeded');
  assert.deepEqual(world.acts, ['do 0', 'do 1', 'do 1', 'do 2']);
  await engine.close();
});

test('a backup store that is away is waited for, but not for ever', async () => {
  const away = new VirgaError('BackupStoreUnavailable', { detail: 'The store is away.', action: 'Mount it.' });
  const world: World = { acts: [], onAct: async (act) => (act === 'do 0' ? Promise.reject(away) : undefined) };
  const engine = engineFor(threeSteps('test.away', world));
  await engine.start();
  const id = await begin('test.away');
  await until('it waits', async () => (await operation(id)).message === 'waiting: The store is away.');
  await sql`update operations set created_at = now() - interval '25 hours' where id = ${id}`.execute(store.db);
  const row = await ended(id);
  assert.deepEqual(
    [row.state, row.error?.code, row.error?.detail],
    ['failed', 'OperationFailed', 'The store is away.'],
  );
  await engine.close();
});

test('an undo that fails is tried until it works', async () => {
  const kind = 'test.undo-again';
  const world: World = {
    acts: [],
    onAct: async (act, times) => {
      if (act === 'do 1') throw refusal;
      if (act === 'undo 0' && times === 1) throw new Error('the disk is busy');
    },
  };
  const engine = engineFor(threeSteps(kind, world));
  await engine.start();
  const row = await ended(await begin(kind));
  assert.equal(row.error?.code, 'ImageUnusable');
  assert.deepEqual(world.acts, ['do 0', 'do 1', 'undo 1', 'undo 0', 'undo 0']);
  await engine.close();
});
