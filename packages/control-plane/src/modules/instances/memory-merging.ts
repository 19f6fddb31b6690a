// Whether the kernel of a host may merge pages of a guest that is about to be started. The kernel merges host-wide, so of those
// whose memory may be merged, at most one project's are on a host at a time, unless the administrator allows more. Decided
// under the lock of the host's row and written with the start, so of two starts at once the second sees the first.
// @see docs/decisions/0011-ksm-scope.md
import type { HostId } from '@virga/contract/ids';
import { sql } from 'kysely';
import type { WriteAccess } from '../../access/authorizer.ts';
import type { Deps } from '../../deps.ts';
import type { Tx } from '../../store/database.ts';
import type { InstanceRow } from './instance-store.ts';

type Guest = Pick<InstanceRow, 'project_id' | 'no_merge' | 'huge_page_kib'>;

/** Its memory is on the host, or saved there as it was started: a claim that holds until it is off. As the index has it. */
export const holdsMergedMemory = sql<boolean>`merges and
  (allocated or desired = 'hibernated' or observed_state = 'hibernated')`;

/** The row of the host must be held, since an earlier statement: this one sees what was written before that. */
export async function mayMerge(
  { settings }: Pick<Deps, 'settings'>,
  tx: Tx,
  _access: WriteAccess,
  hostId: HostId,
  guest: Guest,
): Promise<boolean> {
  // Huge pages are never merged.
  if (guest.no_merge || guest.huge_page_kib !== null) return false;
  const merging = (which: 'min' | 'max') =>
    tx
      .selectFrom('instances')
      .select(({ fn }) => fn[which]('project_id').as('project_id'))
      .where('host_id', '=', hostId)
      .where(holdsMergedMemory);
  const host = await tx
    .selectFrom('hosts')
    .select(['ksm_scope', merging('min').as('first'), merging('max').as('last')])
    .where('id', '=', hostId)
    .executeTakeFirstOrThrow();
  const scope = host.ksm_scope ?? settings.ksmScope;
  if (scope !== 'project') return scope === 'host';
  return [host.first, host.last].every((project) => project === null || project === guest.project_id);
}

/** As {@link mayMerge}, for an instance that is being started: what still has its memory keeps what it was started with. */
export async function mergesAtStart(
  deps: Pick<Deps, 'settings'>,
  tx: Tx,
  access: WriteAccess,
  row: InstanceRow,
): Promise<boolean> {
  if (row.allocated || row.desired === 'hibernated' || row.observed_state === 'hibernated') return row.merges;
  // Its own definition decides.
  if (row.origin === 'adopted') return true;
  return mayMerge(deps, tx, access, row.host_id, row);
}
