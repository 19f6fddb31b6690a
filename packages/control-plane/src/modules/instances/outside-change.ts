// What was done to an instance beside Virga, by virsh or from inside the guest: adopts what was deliberate, and prepares
// the repair of what was lost. The rules are deviation() of instance.ts; here is what follows from them in the database.
import type { ObservedInstance } from '@virga/contract/agent/observed';
import { VirgaError } from '@virga/contract/errors';
import type { SystemAccess } from '../../access/authorizer.ts';
import type { Deps } from '../../deps.ts';
import { appendEvent } from '../../events/event-log.ts';
import { backOffMs, forgottenAfterMs } from '../../reconcile/back-off.ts';
import type { DesiredState } from '../../store/compute-tables.ts';
import { inTransaction } from '../../store/database.ts';
import { endOperation } from '../operations/operation-store.ts';
import { placeOn, release } from '../placement/placement.ts';
import { type Deviation, isCrash } from './instance.ts';
import { about, holdInstance } from './instance-outcome.ts';
import { heldBy, neededBy, unallocated } from './instance-room.ts';
import type { InstanceRow } from './instance-store.ts';

type Context = { deps: Deps; access: SystemAccess };

/** How long a guest may take to shut down that was started on a host without room for it. */
const shutDownMs = 60_000;
/** Between two looks whether there is room again. */
const lookForRoomMs = 10_000;

/** The guest shut itself down, or crashed and is to stay off then: that is what is desired from now on. */
export async function adoptStop({ deps, access }: Context, row: InstanceRow, seen: ObservedInstance): Promise<void> {
  const hasCrashed = isCrash(seen.reason);
  await inTransaction(deps.db, async (tx) => {
    const current = await holdInstance(tx, row);
    if (!current) return;
    await tx
      .updateTable('instances')
      .set({ ...adopted(row), desired: 'stopped', force_at: deps.clock.now(), ...unallocated })
      .where('id', '=', row.id)
      .execute();
    await appendEvent(tx, access, {
      ...about(row, hasCrashed ? 'instance.crashed' : 'instance.stopped-outside'),
      message: hasCrashed
        ? `Instance ${row.name} has crashed; it stays off until it is started, as its crash policy says.`
        : `Instance ${row.name} shut itself down; it stays stopped until it is started.`,
      data: { reason: seen.reason },
    });
    if (current.allocated) await release(tx, access, row.host_id, heldBy(current));
  });
}

const adoptions = {
  'adopt-pause': {
    desired: 'paused',
    type: 'instance.paused-outside',
    sentence: 'was paused beside Virga; it stands still until it is let go on.',
  },
  'adopt-resume': {
    desired: 'running',
    type: 'instance.resumed-outside',
    sentence: 'was let go on beside Virga; it runs until it is paused or stopped.',
  },
  'adopt-hibernate': {
    desired: 'hibernated',
    type: 'instance.hibernated-outside',
    sentence: 'was hibernated beside Virga; it stays so until it is started.',
  },
  'adopt-loss': {
    desired: 'stopped',
    type: 'instance.memory-lost',
    sentence: 'is off: its saved memory is gone, and it boots from its disk when it is started.',
  },
} as const satisfies Partial<Record<Deviation, { desired: DesiredState; type: string; sentence: string }>>;

/** Somebody paused it, let it go on, saved its memory, or removed that: that is what is desired from now on. */
export async function adoptPower(
  { deps, access }: Context,
  row: InstanceRow,
  deviation: keyof typeof adoptions,
  seen: ObservedInstance,
): Promise<void> {
  const { desired, type, sentence } = adoptions[deviation];
  const now = deps.clock.now();
  const isOff = desired === 'hibernated' || desired === 'stopped';
  await inTransaction(deps.db, async (tx) => {
    const current = await holdInstance(tx, row);
    if (!current) return;
    const message = `Instance ${row.name} ${sentence}`;
    await tx
      .updateTable('instances')
      .set({ ...adopted(row), desired, force_at: desired === 'stopped' ? now : null, ...(isOff && unallocated) })
      .where('id', '=', row.id)
      .execute();
    if (current.operation_id) {
      // A stop may still have been under way.
      const error = new VirgaError('Conflict', { detail: message, action: `See virga show ${row.name}.` });
      await endOperation(tx, access, current.operation_id, { error }, now);
    }
    await appendEvent(tx, access, { ...about(row, type), message, data: { reason: seen.reason } });
    if (isOff && current.allocated) await release(tx, access, row.host_id, heldBy(current));
  });
}

/**
 * Somebody started it: it stays on, when the host has room for it. Else it is shut down again.
 * @returns whether it stays on
 */
export async function adoptStart(context: Context, row: InstanceRow, seen: ObservedInstance): Promise<boolean> {
  const { deps, access } = context;
  const now = deps.clock.now();
  const desired = seen.state === 'paused' ? 'paused' : 'running';
  try {
    await inTransaction(deps.db, async (tx) => {
      const current = await holdInstance(tx, row);
      if (!current) return;
      if (!current.allocated) {
        await placeOn(tx, access, row.host_id, neededBy(row));
      }
      await tx
        .updateTable('instances')
        .set({ ...adopted(row), desired, force_at: null, allocated: true, started_at: now })
        .where('id', '=', row.id)
        .execute();
      await appendEvent(tx, access, {
        ...about(row, 'instance.started-outside'),
        message: `Instance ${row.name} was started beside Virga; it stays on until it is stopped.`,
      });
    });
    return true;
  } catch (error) {
    if (!(error instanceof VirgaError) || error.code !== 'NoCapacity') throw error;
    await refuseStart(context, row, error, now);
    return false;
  }
}

async function refuseStart({ deps, access }: Context, row: InstanceRow, reason: VirgaError, now: Date): Promise<void> {
  await inTransaction(deps.db, async (tx) => {
    if (!(await holdInstance(tx, row))) return;
    await tx
      .updateTable('instances')
      .set({ ...adopted(row), force_at: new Date(now.getTime() + shutDownMs) })
      .where('id', '=', row.id)
      .execute();
    await appendEvent(tx, access, {
      ...about(row, 'instance.repaired'),
      message: `Instance ${row.name} was started beside Virga and is shut down again. ${reason.detail}`,
    });
  });
}

/** Not yet converged, so that the host gets to know the new generation too. */
const adopted = (row: InstanceRow) => ({
  generation: row.generation + 1,
  operation_id: null,
  reboot: null,
  failures: 0,
  retry_at: null,
  failure: null,
});

/**
 * Counts a repair that is being tried, and says when the next may be: ever later when it keeps being needed. Somebody waits for a
 * guest that stands still for want of room, and whether there is some is seen at a glance.
 */
export async function beginRepair(
  { deps }: Context,
  row: InstanceRow,
  { reason }: Pick<ObservedInstance, 'reason'>,
): Promise<void> {
  const nowMs = deps.clock.now().getTime();
  const isForgotten = nowMs - (row.retry_at?.getTime() ?? 0) > forgottenAfterMs;
  const failures = isForgotten ? 1 : row.failures + 1;
  const longestMs = reason === 'storage-full' ? lookForRoomMs : Number.POSITIVE_INFINITY;
  await deps.db
    .updateTable('instances')
    .set({ failures, retry_at: new Date(nowMs + Math.min(backOffMs(failures), longestMs)) })
    .where('id', '=', row.id)
    .where('generation', '=', row.generation)
    .execute();
}

export async function recordRepaired(
  { deps, access }: Context,
  row: InstanceRow,
  seen: ObservedInstance,
): Promise<void> {
  const wasStarted = row.desired !== 'stopped' && (seen.state === 'absent' || seen.state === 'stopped');
  await inTransaction(deps.db, async (tx) => {
    if (wasStarted) {
      await tx
        .updateTable('instances')
        .set({ started_at: deps.clock.now() })
        .where('id', '=', row.id)
        .where('generation', '=', row.generation)
        .execute();
    }
    await appendEvent(tx, access, {
      ...about(row, 'instance.repaired'),
      message: `Instance ${row.name} ${describe(row, seen)} and was brought back.`,
      data: { state: seen.state, reason: seen.reason, intact: seen.intact },
    });
  });
}

function describe(row: InstanceRow, { state, reason, intact, domainName }: ObservedInstance): string {
  if (state === 'absent') return 'was undefined beside Virga';
  if (reason === 'storage-full') return 'stood still because there was no room where one of its disks lies,';
  if (row.desired === 'stopped' && domainName !== row.domain_name) return 'had another name on its host';
  if (!intact && state !== 'stopped') return 'had lost its definition or a file';
  switch (reason) {
    case 'destroyed':
      return 'was cut off beside Virga';
    case 'crashed':
    case 'failed':
      return 'had crashed';
    default:
      return 'was off, as after a restart of its host,';
  }
}
