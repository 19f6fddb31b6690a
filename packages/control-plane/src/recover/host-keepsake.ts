// What a host is given to keep of itself, and of the cloud as far as nothing else on a host tells it; recovered-hosts.ts reads it
// back. What follows from the rest has no place here: what was promised, what was seen.
import type { DesiredTuning } from '@virga/contract/agent/host-tuning';
import type { HostId } from '@virga/contract/ids';
import type { Selectable } from 'kysely';
import {
  type KeptBackupSchedule,
  type KeptBackupStore,
  keptBackupSchedules,
  keptBackupStores,
} from '../modules/backups/kept-stores.ts';
import { readGuestModel } from '../modules/placement/cpu-pools.ts';
import { type KeptSnapshotSchedule, keptSnapshotSchedules } from '../modules/snapshots/kept-schedules.ts';
import { type SnapshotMark, snapshotMarks } from '../modules/snapshots/snapshot-marks.ts';
import type { Db, Tx } from '../store/database.ts';
import type { Database } from '../store/schema.ts';

export const keptHostColumns = [
  'vcpu_overcommit',
  'memory_overcommit',
  'memory_floor_mib',
  'ksm_scope',
  'reserved_cpus',
] as const;

export type KeptTuning = {
  generation: number;
  convergedGeneration: number;
  desired: DesiredTuning | null;
  settled: DesiredTuning | null;
};

export type KeptHostState = {
  host: { id: HostId; name: string };
  row: Pick<Selectable<Database['hosts']>, (typeof keptHostColumns)[number]>;
  tuning: KeptTuning | null;
  volatileWriteback: { key: string; name: string; allowedBy: string; allowedAt: string }[];
  backupSchedules: KeptBackupSchedule[];
  snapshotSchedules: KeptSnapshotSchedule[];
  snapshotMarks: SnapshotMark[];
  cloud: {
    backupStores: KeptBackupStore[];
    guestModel: Awaited<ReturnType<typeof readGuestModel>>;
    instanceTypes: Selectable<Database['instance_types']>[];
    volumeTypes: (Omit<Selectable<Database['volume_types']>, 'created_at'> & { created_at: string })[];
  };
};

/** Undefined: there is no such host. */
export async function hostKeepsakeOf(db: Db | Tx, id: HostId): Promise<KeptHostState | undefined> {
  const host = await db
    .selectFrom('hosts')
    .select(['id', 'name', ...keptHostColumns])
    .where('id', '=', id)
    .executeTakeFirst();
  if (!host) return undefined;
  const { name, ...columns } = host;
  const tuning = await db.selectFrom('host_tunings').selectAll().where('host_id', '=', id).executeTakeFirst();
  const allowed = await db
    .selectFrom('host_volatile_writeback')
    .selectAll()
    .where('host_id', '=', id)
    .orderBy('device_key')
    .execute();
  const volumeTypes = await db.selectFrom('volume_types').selectAll().orderBy('name').execute();
  return {
    host: { id, name },
    row: Object.fromEntries(keptHostColumns.map((column) => [column, columns[column]])) as KeptHostState['row'],
    tuning: tuning
      ? {
          generation: tuning.generation,
          convergedGeneration: tuning.converged_generation,
          desired: tuning.desired,
          settled: tuning.settled,
        }
      : null,
    volatileWriteback: allowed.map((one) => ({
      key: one.device_key,
      name: one.device_name,
      allowedBy: one.allowed_by,
      allowedAt: one.allowed_at.toISOString(),
    })),
    backupSchedules: await keptBackupSchedules(db, id),
    snapshotSchedules: await keptSnapshotSchedules(db, id),
    snapshotMarks: await snapshotMarks(db, id),
    cloud: {
      backupStores: await keptBackupStores(db),
      guestModel: await readGuestModel(db),
      instanceTypes: await db.selectFrom('instance_types').selectAll().orderBy('name').execute(),
      volumeTypes: volumeTypes.map((type) => ({ ...type, created_at: type.created_at.toISOString() })),
    },
  };
}
