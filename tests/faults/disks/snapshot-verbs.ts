// What is done to snapshots while the server is killed, each as a request that may be asked for again, and what must hold when
// all is over.
import { VirgaError } from '@virga/contract/errors';
import type { InstanceId, SnapshotId } from '@virga/contract/ids';
import type { AttachedVolume } from '@virga/contract/rest/instance-devices';
import { until } from '@virga/testing/until';
import type { DiskWorld } from './disk-world.ts';

export type Verb = {
  name: string;
  /** Asks for it; when that was acknowledged, or has been before, it answers. */
  ask(world: DiskWorld, turn: number): Promise<void>;
  /** Waits until it has been done, and writes down what is so then. */
  settle(world: DiskWorld, turn: number): Promise<void>;
};

const patience = { timeoutMs: 90_000, intervalMs: 50 };

const nameOf = (turn: number) => `kept-${turn}`;

async function snapshotNamed({ setting }: DiskWorld, name: string) {
  const { items } = await setting.cloud.client.listSnapshots({ query: { name } });
  return items[0];
}

/** What was asked for before the server died is there already. */
async function unless(error: unknown, ...codes: string[]): Promise<void> {
  if (!(error instanceof VirgaError) || !codes.includes(error.code)) throw error;
}

function take(memory: boolean): Verb {
  return {
    name: memory ? 'a snapshot with memory' : 'a snapshot',
    ask: (world, turn) =>
      world.setting.cloud.client
        .createSnapshot({ body: { instance: world.instance.id, name: nameOf(turn), memory } })
        .then(
          () => undefined,
          (error) => unless(error, 'NameTaken'),
        ),
    async settle(world, turn) {
      const snapshot = await until(
        'the snapshot is there',
        async () => {
          const found = await snapshotNamed(world, nameOf(turn));
          return found?.state === 'available' ? found : undefined;
        },
        patience,
      );
      world.kept.set(snapshot.id, [...world.current]);
    },
  };
}

/** Of all that there are, another one each time. */
const chosen = (world: DiskWorld, turn: number): SnapshotId => [...world.kept.keys()][turn % world.kept.size]!;

/** How often each was gone back to. */
const reverts = new Map<SnapshotId, number>();

const revert: Verb = {
  name: 'a revert',
  async ask(world, turn) {
    const id = chosen(world, turn);
    if ((await operationsOf(world, id, 'snapshot.revert')) > (reverts.get(id) ?? 0)) return;
    await world.setting.cloud.client.revertSnapshot({ params: { id }, body: { restart: true } });
  },
  async settle(world, turn) {
    const id = chosen(world, turn);
    await ended(world, id);
    world.current = [...world.kept.get(id)!];
    reverts.set(id, await operationsOf(world, id, 'snapshot.revert'));
    await until('the guest runs again', async () => (await stateOf(world)) === 'running', patience).catch(
      async (error) => {
        throw new Error(await storyOf(world), { cause: error });
      },
    );
  },
};

const remove: Verb = {
  name: 'a deletion',
  ask: (world, turn) =>
    world.setting.cloud.client.deleteSnapshot({ params: { id: chosen(world, turn) } }).then(
      () => undefined,
      (error) => unless(error, 'NotFound'),
    ),
  async settle(world, turn) {
    const id = chosen(world, turn);
    await until('the snapshot is gone', () => isGone(world, id), patience);
    world.kept.delete(id);
  },
};

function clone(full: boolean): Verb {
  const name = (turn: number) => `copy-${turn}`;
  return {
    name: full ? 'a full clone' : 'a linked clone',
    async ask(world, turn) {
      const { client } = world.setting.cloud;
      const { items } = await client.listOperations({ query: { limit: 50 } });
      if (items.some((one) => one.kind === 'instance.clone' && one.resourceName === name(turn))) return;
      await client.cloneInstance({ params: { id: world.instance.id }, body: { name: name(turn), full } });
    },
    async settle(world, turn) {
      const { client } = world.setting.cloud;
      const found = await until(
        'the clone runs',
        async () => {
          const { items } = await client.listInstances({ query: { name: name(turn) } });
          return items[0]?.state === 'running' ? items[0] : undefined;
        },
        patience,
      );
      const content = [...world.current];
      const [{ id: volumeId }] = found.volumes as [AttachedVolume];
      await world.compareClone(found.id, volumeId, content, 'the clone');
      await world.write(found, content, volumeId);
      await world.compareClone(found.id, volumeId, content, 'the clone that has written');
      await until('its operation has ended', async () => (await openOf(world, found.id)) === 0, patience);
      await client.deleteInstance({ params: { id: found.id }, query: { withVolumes: true } });
      await until(
        'the clone is gone',
        async () => {
          const { items } = await client.listInstances({ query: { name: name(turn) } });
          return items.length === 0;
        },
        patience,
      );
      await until('what it rested on is gone', async () => (await hidden(world)) === 0, patience);
      await onlyItsVolume(world);
    },
  };
}

const copy: Verb = {
  name: 'a volume of a snapshot',
  ask: (world, turn) =>
    world.setting.cloud.client
      .createVolume({ body: { name: `volume-${turn}`, snapshot: chosen(world, turn), disk: world.volumeId } })
      .then(
        () => undefined,
        (error) => unless(error, 'NameTaken'),
      ),
  async settle(world, turn) {
    const { client } = world.setting.cloud;
    const made = await until(
      'the volume is there',
      async () => {
        const { items } = await client.listVolumes({ query: { name: `volume-${turn}` } });
        return items[0]?.state === 'available' ? items[0] : undefined;
      },
      patience,
    );
    await world.compareVolume(made.id, world.kept.get(chosen(world, turn))!, 'the volume of a snapshot');
    await client.deleteVolume({ params: { id: made.id }, query: {} });
    await onlyItsVolume(world);
  },
};

async function onlyItsVolume({ setting }: DiskWorld): Promise<void> {
  await until(
    'the other volumes are gone',
    async () => (await setting.cloud.client.listVolumes({ query: {} })).items.length === 1,
    patience,
  );
}

export const snapshotVerbs: readonly Verb[] = [
  take(false),
  take(true),
  revert,
  clone(false),
  clone(true),
  copy,
  remove,
];

/** What became of the instance, for whoever has to find out why. */
async function storyOf({ setting, instance }: DiskWorld): Promise<string> {
  const { client } = setting.cloud;
  const { state, stateReason, desiredState, observedState } = await client.getInstance({ params: { id: instance.id } });
  const events = await setting.cloud.store.db
    .selectFrom('events')
    .select(['type', 'message'])
    .orderBy('seq', 'desc')
    .limit(12)
    .execute();
  const told = events.map(({ type, message }) => `${type}: ${message}`).toReversed();
  return [`the guest is ${state} (${desiredState}, ${observedState}): ${stateReason}`, ...told].join('\n');
}

async function stateOf({ setting, instance }: DiskWorld) {
  return (await setting.cloud.client.getInstance({ params: { id: instance.id } })).state;
}

async function isGone({ setting }: DiskWorld, id: SnapshotId): Promise<boolean> {
  try {
    await setting.cloud.client.getSnapshot({ params: { id } });
    return false;
  } catch (error) {
    return error instanceof VirgaError && error.code === 'NotFound';
  }
}

async function operationsOf({ setting }: DiskWorld, resourceId: string, kind: string): Promise<number> {
  const { items } = await setting.cloud.client.listOperations({ query: { resourceId, limit: 500 } });
  return items.filter((one) => one.kind === kind).length;
}

async function openOf({ setting }: DiskWorld, resourceId: InstanceId | SnapshotId): Promise<number> {
  const { items } = await setting.cloud.client.listOperations({ query: { resourceId, limit: 500 } });
  const failed = items.find(({ state }) => state === 'failed');
  if (failed) throw new Error(`${failed.kind} failed: ${failed.error?.detail}`);
  return items.filter(({ finishedAt }) => finishedAt === null).length;
}

/** Snapshots that were taken for clones. */
async function hidden({ setting }: DiskWorld): Promise<number> {
  const rows = await setting.cloud.store.db
    .selectFrom('snapshots')
    .select('id')
    .where('purpose', '=', 'clone')
    .execute();
  return rows.length;
}

async function ended(world: DiskWorld, id: SnapshotId): Promise<void> {
  await until('it has ended', async () => (await openOf(world, id)) === 0, patience);
}
