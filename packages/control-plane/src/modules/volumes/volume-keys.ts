// Passphrases of encrypted volumes, given to their hosts before what needs them: a host keeps them in memory only, so it may have
// forgotten them since. Who asks a host for something with them asks again after a failure, and then gives them again.
import { randomBytes } from 'node:crypto';
import type { DesiredVolume } from '@virga/contract/agent/volumes';
import type { InstanceId, VolumeId } from '@virga/contract/ids';
import { type SqlBool, sql } from 'kysely';
import type { Deps } from '../../deps.ts';
import type { Seal } from '../identity/seal.ts';
import { desiredPoolOf } from '../pools/pool.ts';
import { desiredVolumeOf } from './volume.ts';
import type { VolumeRow } from './volume-store.ts';

/** @param of volumes, or all that an instance has, with those that its snapshots are of */
export async function giveKeys(
  deps: Deps,
  of: { volumeId: VolumeId } | { instanceId: InstanceId },
  signal: AbortSignal,
): Promise<void> {
  const rows = await deps.db
    .selectFrom('volumes')
    .selectAll()
    .where('passphrase_sealed', 'is not', null)
    .where('converged_generation', '>', 0)
    .where('desired', '!=', 'deleted')
    .where('volumeId' in of ? sql<SqlBool>`id = ${of.volumeId}` : isOfInstance(of.instanceId))
    .execute();
  for (const row of rows) {
    await deps.agents.agentOf(row.host_id).applyVolume(await wholeVolume(deps, row), { signal });
  }
}

const passphraseBytes = 32;

/** For a volume that is to be encrypted, sealed as its row has it. */
export const newPassphrase = (seal: Seal, id: VolumeId): Buffer =>
  seal.seal(randomBytes(passphraseBytes).toString('base64'), id);

/** As its host is told of it, with its passphrase. */
export async function wholeVolume({ db, cloudId, seal }: Deps, row: VolumeRow): Promise<DesiredVolume> {
  const pool = await db.selectFrom('pools').selectAll().where('id', '=', row.pool_id).executeTakeFirstOrThrow();
  return desiredVolumeOf(row, cloudId, desiredPoolOf(pool, cloudId, seal), seal);
}

/** Attachments and snapshots belong to modules that come later; here they are only read. */
const isOfInstance = (id: InstanceId) => sql<SqlBool>`(
  exists (select from volume_attachments a where a.volume_id = volumes.id and a.instance_id = ${id})
  or exists (
    select from snapshots s
    where s.instance_id = ${id} and s.disks @> jsonb_build_array(jsonb_build_object('id', volumes.id))))`;
