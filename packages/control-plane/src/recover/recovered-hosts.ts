// Hosts of a lost database: how much of each may be promised, what it keeps for itself and how it is tuned; and of the cloud the
// CPU model of its guests and the types that were made. The inverse of host-keepsake.ts. Of what several hosts say of the cloud, the newest
// counts. A host without a keepsake, of an earlier version, is as one that is new.
import type { Inventory } from '@virga/contract/agent/inventory';
import type { HostId } from '@virga/contract/ids';
import { guestModelKey } from '../modules/placement/cpu-pools.ts';
import type { Tx } from '../store/database.ts';
import { type KeptHostState, keptHostColumns } from './host-keepsake.ts';
import { writable } from './recovered-rows.ts';

type Part = Pick<Inventory, 'keepsakes'>;

/** Of the cloud that is rebuilt; its parts have those of no other. */
export function keptHostOf({ keepsakes }: Part): Partial<KeptHostState> | undefined {
  return keepsakes[0]?.keepsake as Partial<KeptHostState> | undefined;
}

/** What is to be written into the row of a host. */
export function hostColumns(part: Part) {
  const row = keptHostOf(part)?.row;
  if (row === undefined) return {};
  const known = Object.entries(row).filter(([name]) => keptHostColumns.some((column) => column === name));
  return writable(Object.fromEntries(known)) as Partial<Record<(typeof keptHostColumns)[number], never>>;
}

/** What hosts say of the cloud; of several, the one that was told last. */
export function newestCloudOf(parts: readonly Part[]): Partial<KeptHostState['cloud']> | undefined {
  const [newest] = parts
    .flatMap(({ keepsakes }) => keepsakes)
    .sort((one, other) => (one.keptAt < other.keptAt ? 1 : -1));
  return (newest?.keepsake as Partial<KeptHostState> | undefined)?.cloud;
}

/** @returns whether the hosts know the instance types that there were */
export async function recoverCloudSettings(tx: Tx, parts: readonly Part[]): Promise<boolean> {
  const cloud = newestCloudOf(parts);
  if (cloud?.guestModel) {
    await tx
      .insertInto('settings')
      .values({ key: guestModelKey, value: JSON.stringify(cloud.guestModel) })
      .execute();
  }
  const types = cloud?.instanceTypes ?? [];
  for (const type of types)
    await tx
      .insertInto('instance_types')
      .values(writable(type) as never)
      .execute();
  for (const type of cloud?.volumeTypes ?? []) {
    await tx
      .insertInto('volume_types')
      .values(writable(type) as never)
      .onConflict((conflict) => conflict.doNothing())
      .execute();
  }
  return types.length > 0;
}

/** After its row, and what its instances tell of it. */
export async function recoverHost(tx: Tx, part: Part & { id: HostId }): Promise<void> {
  const kept = keptHostOf(part);
  const text = (value: unknown) => (value ? JSON.stringify(value) : null);
  if (kept?.tuning) {
    const { generation, convergedGeneration, desired, settled } = kept.tuning;
    await tx
      .insertInto('host_tunings')
      .values({
        host_id: part.id,
        generation,
        converged_generation: convergedGeneration,
        desired: text(desired),
        settled: text(settled),
        failure: null,
        boot_id: null,
        applied_at: null,
      })
      .execute();
  }
  for (const { key, name, allowedBy, allowedAt } of kept?.volatileWriteback ?? []) {
    const known = { device_name: name, allowed_by: allowedBy, allowed_at: new Date(allowedAt) };
    await tx
      .insertInto('host_volatile_writeback')
      .values({ host_id: part.id, device_key: key, ...known })
      .onConflict((conflict) => conflict.columns(['host_id', 'device_key']).doUpdateSet(known))
      .execute();
  }
}
