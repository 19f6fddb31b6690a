// Volumes of a lost database, and which instance has them.
import type { DiskLimits } from '@virga/contract/agent/desired';
import type { FoundInstance } from '@virga/contract/agent/inventory';
import type { ObservedVolume } from '@virga/contract/agent/volumes';
import type { HostId, ProjectId } from '@virga/contract/ids';
import type { Tx } from '../store/database.ts';

/** @returns how many */
export async function recoverVolumes(
  tx: Tx,
  { id: hostId, volumes }: { id: HostId; volumes: readonly ObservedVolume[] },
  leftAlone: string[],
): Promise<number> {
  let count = 0;
  for (const volume of volumes) {
    const { id, name, sizeBytes, scratch = false, generation, keepsake, intact } = volume;
    const { projectId, createdAt } = keepsake as Kept;
    const project =
      projectId && (await tx.selectFrom('projects').select('id').where('id', '=', projectId).executeTakeFirst());
    if (!project || !intact) {
      const why = intact ? 'belongs to a project that nothing else tells of' : 'has lost its disk';
      leftAlone.push(`Volume ${name} (${id}) ${why}; its files stay where they are until the server runs.`);
      continue;
    }
    // In a pool that several hosts see, each of them shows it.
    const inserted = await tx
      .insertInto('volumes')
      .values({
        id,
        project_id: project.id,
        name,
        size_bytes: sizeBytes,
        scratch,
        host_id: hostId,
        generation,
        converged_generation: generation,
        failure: null,
        ...shapeOf(volume),
        ...(createdAt && { created_at: new Date(createdAt) }),
      })
      .onConflict((conflict) => conflict.column('id').doNothing())
      .returning('id')
      .executeTakeFirst();
    if (inserted) count++;
  }
  return count;
}

type Kept = {
  projectId?: ProjectId;
  createdAt?: string;
  deleteProtection?: boolean;
  type?: string;
  limits?: DiskLimits;
  passphraseSealed?: string;
};

/** What it was made as, and where it lies. */
function shapeOf({
  format = 'qcow2',
  preallocation = 'off',
  source,
  snapshot,
  keepsake,
  usedBytes,
  poolId,
}: ObservedVolume) {
  const { deleteProtection = false, type, limits, passphraseSealed } = keepsake as Kept;
  return {
    ...(poolId && { pool_id: poolId }),
    format,
    preallocation,
    used_bytes: usedBytes,
    image_id: source?.imageId ?? null,
    clone: source?.clone ?? null,
    snapshot: snapshot ? JSON.stringify(snapshot) : null,
    delete_protection: deleteProtection,
    type: type ?? null,
    limits: limits ? JSON.stringify(limits) : null,
    passphrase_sealed: passphraseSealed === undefined ? null : Buffer.from(passphraseSealed, 'base64'),
  };
}

/** Devices on which write-back is allowed, as far as an instance needs that. Their names of then are lost. */
export async function recoverAllowances(
  tx: Tx,
  { id: hostId, instances }: { id: HostId; instances: readonly FoundInstance[] },
): Promise<void> {
  for (const key of new Set(instances.flatMap(({ desired }) => desired.volatileWriteback ?? []))) {
    await tx
      .insertInto('host_volatile_writeback')
      .values({ host_id: hostId, device_key: key, device_name: key, allowed_by: 'recovered', allowed_at: new Date() })
      .execute();
  }
}

export async function recoverAttachments(tx: Tx, { desired }: FoundInstance, leftAlone: string[]): Promise<void> {
  const deletedWith = (desired.keepsake.deletedWith as string[] | undefined) ?? [];
  for (const { id, target, readOnly, limits, driver } of desired.volumes) {
    const volume = await tx.selectFrom('volumes').select('id').where('id', '=', id).executeTakeFirst();
    if (!volume) {
      leftAlone.push(`Volume ${id} of instance ${desired.name} is on no host; the instance is told not to have it.`);
      continue;
    }
    await tx
      .insertInto('volume_attachments')
      .values({
        volume_id: id,
        instance_id: desired.id,
        target,
        read_only: readOnly,
        limits: limits ? JSON.stringify(limits) : null,
        driver: driver ? JSON.stringify(driver) : null,
        generation: 1,
        delete_with_instance: deletedWith.includes(id),
      })
      .execute();
  }
}
