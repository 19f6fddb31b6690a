// Opens what was read of a disk for a backup, with the parts of it that the backup has: a file, or what Ceph keeps.
import type { BackupId } from '@virga/contract/ids';
import type { AgentContext } from '../agent-context.ts';
import { rbdPool } from '../snapshots/ceph-disks.ts';
import { passphraseOf } from '../volumes/volume-passphrase.ts';
import type { KeptDisk } from './backup-folder.ts';
import { type Extent, mapDisk } from './disk-map.ts';
import type { NbdClient } from './nbd-client.ts';
import { withOpenDisk } from './open-disk.ts';

/** @throws CommandFailed | PoolUnusable | NotFound the host has no key of it */
export async function withReadDisk<T>(
  context: Pick<AgentContext, 'storage' | 'passphrases'>,
  id: BackupId,
  disk: KeptDisk & { changes: boolean },
  signal: AbortSignal | undefined,
  work: (open: NbdClient, extents: readonly Extent[]) => Promise<T>,
): Promise<T> {
  const opening = { writes: false, signal };
  if (disk.ceph === undefined) {
    const passphrase = disk.file.encryptedOn && (await passphraseOf(context, disk.id));
    const extents = await mapDisk(disk.file, { changes: disk.changes, signal, passphrase });
    return withOpenDisk(disk.file, { ...opening, passphrase }, (open) => work(open, extents));
  }
  const { poolId, since } = disk.ceph;
  const pool = await rbdPool(context.storage, poolId);
  const moment = `${pool.imageName(disk.id)}@${id}`;
  const { parent } = JSON.parse(await pool.rbd(['info', '--format', 'json', moment])) as { parent?: object };
  const changed = await pool.extents(moment, since, { signal });
  // Where a clone is empty its parent shows through, as it does after a revert.
  const extents = changed.map(({ zero, ...extent }) => ({ ...extent, zero: zero && parent === undefined }));
  return pool.withSnapshot(disk.id, id, (remote) =>
    withOpenDisk({ options: `driver=raw,${remote}` }, opening, (open) => work(open, within(extents, open.sizeBytes))),
  );
}

/** Its last object may reach beyond the end of the disk. */
const within = (extents: readonly Extent[], sizeBytes: number): Extent[] =>
  extents
    .filter(({ offset }) => offset < sizeBytes)
    .map(({ offset, length, zero }) => ({ offset, zero, length: Math.min(length, sizeBytes - offset) }));
