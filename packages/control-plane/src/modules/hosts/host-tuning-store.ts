// Rows of how hosts are to be tuned. A host without a row was never tuned.
import type { DesiredTuning } from '@virga/contract/agent/host-tuning';
import type { HostId, OperationId } from '@virga/contract/ids';
import type { TunedHost } from '@virga/contract/rest/host-tuning';
import type { Selectable } from 'kysely';
import type { Db, Tx } from '../../store/database.ts';
import type { Database } from '../../store/schema.ts';

export type TuningRow = Selectable<Database['host_tunings']>;

export const tuningKinds = ['host.tune', 'host.untune'] as const;
export type TuningKind = (typeof tuningKinds)[number];

export const findTuning = (db: Db | Tx, id: HostId): Promise<TuningRow | undefined> =>
  db.selectFrom('host_tunings').selectAll().where('host_id', '=', id).executeTakeFirst();

/** Hosts that are not tuned as was last asked for. */
export async function unconvergedTunings(db: Db): Promise<HostId[]> {
  const rows = await db
    .selectFrom('host_tunings')
    .select('host_id')
    .where('converged_generation', '!=', (where) => where.ref('generation'))
    .execute();
  return rows.map(({ host_id }) => host_id);
}

/** Hosts that are tuned, and are to stay so. */
export async function settledTunings(db: Db): Promise<HostId[]> {
  const rows = await db.selectFrom('host_tunings').select('host_id').where('desired', 'is not', null).execute();
  return rows.map(({ host_id }) => host_id);
}

/** Operations that tune this host and have not ended. */
export async function openTunings(tx: Tx, id: HostId): Promise<OperationId[]> {
  const rows = await tx
    .selectFrom('operations')
    .select('id')
    .where('resource_id', '=', id)
    .where('kind', 'in', tuningKinds)
    .where('state', 'in', ['queued', 'running'])
    .execute();
  return rows.map((row) => row.id);
}

export function toTunedHost(host: { id: HostId; name: string }, row: TuningRow | undefined): TunedHost {
  return {
    id: host.id,
    name: host.name,
    generation: row?.generation ?? 0,
    desired: row?.desired ?? null,
    inForce: row?.settled ?? null,
    state: stateOf(row),
    stateReason: row?.failure ? `${row.failure.detail} ${row.failure.action}` : null,
    appliedAt: row?.applied_at?.toISOString() ?? null,
  };
}

function stateOf(row: TuningRow | undefined): TunedHost['state'] {
  if (row === undefined) return 'none';
  if (row.generation !== row.converged_generation) return 'pending';
  if (row.failure) return 'failed';
  return row.desired === null ? 'none' : 'applied';
}

/** For people, such as: profile latency, with ksm and swappiness set apart. */
export function tuningText({ profile, overrides }: DesiredTuning): string {
  const apart = Object.keys(overrides);
  return `profile ${profile}${apart.length > 0 ? `, with ${apart.join(', ')} set apart` : ''}`;
}
