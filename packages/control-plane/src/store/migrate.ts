// Forward-only migrations, run at every start under a lock, each in order and once.
import { VirgaError } from '@virga/contract/errors';
import { type Migration, Migrator } from 'kysely/migration';
import type { Db } from './database.ts';
import * as foundation from './migrations/0001-foundation.ts';
import * as compute from './migrations/0002-compute.ts';
import * as hostAction from './migrations/0003-host-action.ts';
import * as freeAddresses from './migrations/0004-free-addresses.ts';
import * as addressRows from './migrations/0005-address-rows.ts';
import * as instancePower from './migrations/0006-instance-power.ts';
import * as instancePolicies from './migrations/0007-instance-policies.ts';
import * as instanceSizes from './migrations/0008-instance-sizes.ts';
import * as volumes from './migrations/0009-volumes.ts';
import * as instanceHardware from './migrations/0010-instance-hardware.ts';
import * as consoleTickets from './migrations/0011-console-tickets.ts';
import * as interop from './migrations/0012-interop.ts';
import * as warmImages from './migrations/0013-warm-images.ts';
import * as hostTuning from './migrations/0015-host-tuning.ts';
import * as hostCpus from './migrations/0016-host-cpus.ts';
import * as hostMemory from './migrations/0017-host-memory.ts';
import * as diskDrivers from './migrations/0018-disk-drivers.ts';
import * as hostBenchmarks from './migrations/0019-host-benchmarks.ts';
import * as usageHistory from './migrations/0020-usage-history.ts';
import * as imageImports from './migrations/0021-image-imports.ts';
import * as imageBuilds from './migrations/0022-image-builds.ts';
import * as pools from './migrations/0023-pools.ts';
import * as snapshots from './migrations/0024-snapshots.ts';
import * as backups from './migrations/0025-backups.ts';
import * as volumeMoves from './migrations/0026-volume-moves.ts';
import * as volumesFromSnapshots from './migrations/0027-volumes-from-snapshots.ts';
import * as machineState from './migrations/0028-machine-state.ts';
import * as rootDisksInCeph from './migrations/0029-root-disks-in-ceph.ts';
import * as importedStores from './migrations/0031-imported-stores.ts';
import * as rootDiskMoves from './migrations/0037-root-disk-moves.ts';

const migrations: Record<string, Migration> = {
  '0001-foundation': foundation,
  '0002-compute': compute,
  '0003-host-action': hostAction,
  '0004-free-addresses': freeAddresses,
  '0005-address-rows': addressRows,
  '0006-instance-power': instancePower,
  '0007-instance-policies': instancePolicies,
  '0009-volumes': volumes,
  '0008-instance-sizes': instanceSizes,
  '0010-instance-hardware': instanceHardware,
  '0011-console-tickets': consoleTickets,
  '0012-interop': interop,
  '0013-warm-images': warmImages,
  '0015-host-tuning': hostTuning,
  '0017-host-memory': hostMemory,
  '0016-host-cpus': hostCpus,
  '0018-disk-drivers': diskDrivers,
  '0019-host-benchmarks': hostBenchmarks,
  '0020-usage-history': usageHistory,
  '0021-image-imports': imageImports,
  '0022-image-builds': imageBuilds,
  '0023-pools': pools,
  '0024-snapshots': snapshots,
  '0025-backups': backups,
  '0026-volume-moves': volumeMoves,
  '0027-volumes-from-snapshots': volumesFromSnapshots,
  '0028-machine-state': machineState,
  '0029-root-disks-in-ceph': rootDisksInCeph,
  '0031-imported-stores': importedStores,
  '0037-root-disk-moves': rootDiskMoves,
};

/** Brings the schema to this version. @throws StoreUnavailable a migration failed; nothing of it remains */
export async function migrate(db: Db): Promise<void> {
  const migrator = new Migrator({ db, provider: { getMigrations: async () => migrations } });
  const { error } = await migrator.migrateToLatest();
  if (error) {
    throw new VirgaError('StoreUnavailable', {
      detail: `The database cannot be brought to this version: ${error instanceof Error ? error.message : error}.`,
      action: 'Read the log of the server; a database of a newer Virga needs that version.',
      cause: error,
    });
  }
}
