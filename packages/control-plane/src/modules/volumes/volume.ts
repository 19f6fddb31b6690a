// The rules of a volume, pure: what state it is in, and what its host is asked for. Knows neither database nor host.
import type { DesiredPool } from '@virga/contract/agent/pools';
import type { DesiredVolume } from '@virga/contract/agent/volumes';
import type { Volume } from '@virga/contract/rest/volumes';
import type { Selectable } from 'kysely';
import type { Database } from '../../store/schema.ts';
import type { Seal } from '../identity/seal.ts';

type Row = Selectable<Database['volumes']>;

/** A volume that a guest has is in use, also while it grows or cannot be found. */
export function volumeState(
  { desired, converged_generation, failure }: Pick<Row, 'desired' | 'converged_generation'> & { failure: unknown },
  isAttached: boolean,
): Volume['state'] {
  if (desired === 'deleted') return 'deleting';
  if (failure !== null) return 'error';
  if (isAttached) return 'in-use';
  return converged_generation === 0 ? 'pending' : 'available';
}

/** @param pool that it lies in; undefined: the host's own storage */
export function desiredVolumeOf(row: Row, cloudId: string, pool: DesiredPool | undefined, seal: Seal): DesiredVolume {
  const { id, generation, name, size_bytes: sizeBytes, passphrase_sealed: sealed } = row;
  return {
    id,
    cloudId,
    generation,
    name,
    sizeBytes,
    ...(row.scratch && { scratch: true }),
    ...(pool && { pool }),
    ...(row.format !== 'qcow2' && { format: row.format }),
    ...(row.preallocation !== 'off' && { preallocation: row.preallocation }),
    ...(row.image_id && row.clone && { source: { imageId: row.image_id, clone: row.clone } }),
    ...(sealed && { passphrase: seal.open(sealed, id) }),
    ...(row.snapshot && { snapshot: row.snapshot }),
    ...(row.restored && { restored: row.restored }),
    // What once was there is never made anew: an empty disk in its place would hide the loss.
    mustExist: row.converged_generation > 0,
    keepsake: {
      projectId: row.project_id,
      name,
      sizeBytes,
      createdAt: row.created_at.toISOString(),
      ...(row.delete_protection && { deleteProtection: true }),
      ...(row.type && { type: row.type }),
      ...(row.limits && { limits: row.limits }),
      // Sealed, it opens nowhere but in this cloud, with the key that lies outside its database.
      ...(sealed && { passphraseSealed: sealed.toString('base64') }),
    },
  };
}
