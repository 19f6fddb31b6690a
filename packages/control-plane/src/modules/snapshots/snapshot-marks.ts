// What hosts keep of snapshots that may have changed since they were taken: which are protected, and which are there for clones
// alone. What is not named is not protected.
import type { HostId, SnapshotId } from '@virga/contract/ids';
import type { Selectable } from 'kysely';
import type { Db, Tx } from '../../store/database.ts';
import type { Database } from '../../store/schema.ts';

export type SnapshotMark = Pick<Selectable<Database['snapshots']>, 'purpose' | 'is_protected'> & { id: SnapshotId };

/** Of the snapshots on a host. */
export const snapshotMarks = (db: Db | Tx, hostId: HostId): Promise<SnapshotMark[]> =>
  db
    .selectFrom('snapshots')
    .select(['id', 'purpose', 'is_protected'])
    .where('host_id', '=', hostId)
    .where((where) => where.or([where('is_protected', '=', true), where('purpose', '=', 'clone')]))
    .orderBy('id')
    .execute();
