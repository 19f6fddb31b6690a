// What happens by the clock: instances that expire, schedules that run. Sleeps until the earliest time that something is due,
// and is woken when a transaction has set one. Holds nothing: what is due is read from the rows each time, so a server that
// was away makes up for it at its start.
import { systemAccess } from '../access/system-access.ts';
import type { Deps } from '../deps.ts';
import { closeDue, nextClosing } from '../modules/backups/backup-files.ts';
import { runDueBackups } from '../modules/backups/schedule-runner.ts';
import { nextDueOf, type ScheduleTable } from '../modules/instances/due-schedules.ts';
import { nextThaw, thawDue } from '../modules/instances/guest-freeze.ts';
import { expireDue, nextExpiry } from '../modules/instances/instance-expiry.ts';
import { runDueSchedules } from '../modules/instances/schedule-runner.ts';
import { takeDueSnapshots } from '../modules/snapshots/snapshot-schedule-runner.ts';
import type { Db } from '../store/database.ts';
import { KeyedQueue } from './keyed-queue.ts';

/** The longest sleep. The clock of a machine can be set; timers do not notice. */
const longestSleepMs = 60_000;

const nextOf = (table: ScheduleTable) => (db: Db) => nextDueOf(db, table);

const works = {
  openBackups: { run: closeDue, next: nextClosing, access: systemAccess('backups') },
  backups: { run: runDueBackups, next: nextOf('backup_schedules'), access: systemAccess('schedules') },
  expiries: { run: expireDue, next: nextExpiry, access: systemAccess('expiry') },
  freezes: { run: thawDue, next: nextThaw, access: systemAccess('guests') },
  snapshots: { run: takeDueSnapshots, next: nextOf('snapshot_schedules'), access: systemAccess('schedules') },
  schedules: { run: runDueSchedules, next: nextOf('instance_schedules'), access: systemAccess('schedules') },
};
type Work = keyof typeof works;
const names = Object.keys(works) as Work[];

export type Clockwork = { wake(): void; close(): Promise<void> };

export function startClockwork(deps: Deps): Clockwork {
  const queue = new KeyedQueue<Work>({
    concurrency: names.length,
    work: async (name, signal) => {
      const { run, next, access } = works[name];
      await run({ deps, access }, signal);
      const dueAt = await next(deps.db);
      const delayMs = dueAt === undefined ? longestSleepMs : dueAt.getTime() - deps.clock.now().getTime();
      queue.wakeAfter(name, Math.min(longestSleepMs, delayMs));
    },
    onError: (name, error) => deps.log.warn({ err: error, work: name }, 'what is due could not be done'),
  });
  const wake = () => {
    for (const name of names) queue.wake(name);
  };
  wake();
  return { wake, close: () => queue.close() };
}
