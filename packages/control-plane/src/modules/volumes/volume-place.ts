// Where a new volume is to lie: which pool, and which host looks after it there. Reads only.
import { VirgaError } from '@virga/contract/errors';
import type { HostId } from '@virga/contract/ids';
import type { CreateVolume } from '@virga/contract/rest/volumes';
import type { ProjectAccess } from '../../access/authorizer.ts';
import type { Tx } from '../../store/database.ts';
import { hasId, hasIdOrName } from '../../store/named.ts';
import { usableHosts } from '../pools/pool.ts';
import { type PoolView, resolvePool, selectPools } from '../pools/pool-store.ts';
import type { SnapshotOrigin } from './snapshot-origin.ts';

export type VolumePlace = { hostId: HostId; pool: PoolView };

type Asked = Pick<CreateVolume, 'host' | 'instance' | 'pool'> & {
  typePool: string | undefined;
  origin: SnapshotOrigin | undefined;
};

/**
 * Where the snapshot is that it is made from, beside an instance, on a host that was named, or where most space is free; in the pool that was named, that of the type,
 * the default one where the host has it, or the host's own storage.
 * @throws NotFound | InvalidArgument | HostUnavailable | PoolUnusable | StorageFull
 */
export async function placeVolume(tx: Tx, access: ProjectAccess<'operator'>, asked: Asked): Promise<VolumePlace> {
  const { host, instance, pool, typePool, origin } = asked;
  if (host !== undefined && instance !== undefined) {
    throw new VirgaError('InvalidArgument', {
      detail: 'A volume is put beside an instance or on a host, not both.',
      action: 'Leave out one of them.',
      field: '/host',
    });
  }
  const named = pool ?? typePool;
  const wanted =
    instance !== undefined
      ? await hostOfInstance(tx, access, instance)
      : host === undefined
        ? undefined
        : await hostNamed(tx, host);
  if (origin && wanted !== undefined && wanted !== origin.hostId) {
    throw new VirgaError('InvalidArgument', {
      detail: `Snapshot ${origin.name} is on another host, and so is what is made of it.`,
      action: `Leave out the ${instance === undefined ? 'host' : 'instance'}.`,
      field: instance === undefined ? '/host' : '/instance',
    });
  }
  const fixed = origin?.hostId ?? wanted;
  if (named !== undefined) return placeIn(tx, await resolvePool(tx, named, { hostId: fixed, field: '/pool' }), fixed);
  const preferred = await selectPools(tx).where('is_default', '=', true).executeTakeFirst();
  const isThere = preferred?.hosts.some(({ hostId }) => fixed === undefined || hostId === fixed);
  if (preferred && isThere) return placeIn(tx, [preferred], fixed);
  const hostId = await readyHost(tx, fixed);
  const own = selectPools(tx).where('host_id', '=', hostId).where('driver', '=', 'local');
  return { hostId, pool: await own.executeTakeFirstOrThrow() };
}

/** @param pools of one name, each of other hosts; that with most room comes first */
async function placeIn(tx: Tx, pools: readonly PoolView[], fixed: HostId | undefined): Promise<VolumePlace> {
  for (const pool of pools) {
    const usable = usableHosts(pool.hosts).filter(({ hostId }) => fixed === undefined || hostId === fixed);
    if (usable[0]) {
      const hostId = pool.driver === 'local' ? await readyHost(tx, usable[0].hostId) : usable[0].hostId;
      return { hostId, pool };
    }
  }
  const [pool] = pools;
  const why = pool!.hosts.find(({ failure }) => failure !== null)?.failure;
  throw new VirgaError('PoolUnusable', {
    detail: `No host can use the pool ${pool!.name} now${why ? `: ${why.detail}` : '.'}`,
    action: why?.action ?? 'Try again in a moment, or see virga pools show.',
    field: '/pool',
  });
}

async function hostNamed(tx: Tx, host: string): Promise<HostId> {
  const found = await tx
    .selectFrom('hosts')
    .select('id')
    .where(hasIdOrName(host))
    .orderBy(hasId(host), 'desc')
    .limit(1)
    .executeTakeFirst();
  if (found) return found.id;
  throw new VirgaError('NotFound', {
    detail: `There is no host ${host}.`,
    action: 'List hosts with virga hosts list.',
    field: '/host',
  });
}

/** This host, or the one where most space is free. */
async function readyHost(tx: Tx, hostId: HostId | undefined): Promise<HostId> {
  let hosts = tx
    .selectFrom('hosts')
    .select(['id', 'name', 'state', 'state_reason', 'state_action', 'storage_headroom_bytes']);
  if (hostId !== undefined) hosts = hosts.where('id', '=', hostId);
  const found = await hosts
    .orderBy((by) => by('state', '=', 'ready'), 'desc')
    .orderBy('storage_headroom_bytes', 'desc')
    .limit(1)
    .executeTakeFirst();
  if (!found) {
    throw new VirgaError('NotFound', {
      detail: 'The cloud has no host.',
      action: 'List hosts with virga hosts list.',
      field: '/host',
    });
  }
  if (found.state !== 'ready') {
    throw new VirgaError('HostUnavailable', {
      detail: `Host ${found.name} is not ready: ${found.state_reason ?? 'it has not reported yet.'}`,
      action: found.state_action ?? 'Try again in a moment.',
    });
  }
  if (found.storage_headroom_bytes <= 0) {
    throw new VirgaError('StorageFull', {
      detail: `The storage of host ${found.name} has no space left above its reserve.`,
      action: 'Delete instances, volumes or images that are not needed, or add storage.',
    });
  }
  return found.id;
}

async function hostOfInstance(tx: Tx, access: ProjectAccess<'operator'>, idOrName: string): Promise<HostId> {
  const row = await tx
    .selectFrom('instances')
    .select('host_id')
    .where('project_id', '=', access.projectId)
    .where(hasIdOrName(idOrName))
    .orderBy(hasId(idOrName), 'desc')
    .limit(1)
    .executeTakeFirst();
  if (row) return row.host_id;
  throw new VirgaError('NotFound', {
    detail: `There is no instance ${idOrName}.`,
    action: 'List instances with virga list.',
    field: '/instance',
  });
}
