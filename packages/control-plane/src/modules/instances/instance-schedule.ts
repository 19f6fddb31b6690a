// The rules of a schedule, pure: which cron lines are possible, when one runs next, and what to make up for after an absence.
// Times are of an IANA time zone, and follow its summer time: what would fall into the hour that is left out runs right
// after it, and what would fall into the hour that comes twice runs once.
import { VirgaError } from '@virga/contract/errors';
import { Cron } from 'croner';

export type CronLine = { cron: string; timeZone: string };

/** A run that was missed is made up for when it is at most that long ago. */
export const madeUpForMs = 3_600_000;

/**
 * When a line runs for the first time after `after`.
 * @throws InvalidArgument the time zone or the line cannot be read, or the line never runs
 */
export function firstRun(line: CronLine, after: Date): Date {
  const next = readCron(line).nextRun(after);
  if (next) return next;
  throw refused(`The schedule ${JSON.stringify(line.cron)} never runs: there is no such day.`);
}

export type DueRun = {
  /** The run to make up for; undefined when every one is too long ago. */
  run: Date | undefined;
  /** The first of those that are left out. */
  skippedFrom: Date | undefined;
  /** Undefined when there will be none any more. */
  next: Date | undefined;
};

/**
 * What is due of a schedule that was to run at `dueAt`. Of several runs that were missed only the latest is made up for.
 * @throws InvalidArgument the time zone or the line cannot be read
 */
export function dueRun(line: CronLine, dueAt: Date, now: Date): DueRun {
  const cron = readCron(line);
  const fromMs = Math.max(dueAt.getTime(), now.getTime() - madeUpForMs);
  let run: Date | undefined;
  // At most one a minute, of an hour.
  for (let next = cron.nextRun(new Date(fromMs - 1)); next && next <= now; next = cron.nextRun(next)) run = next;
  const isOnlyOne = run?.getTime() === dueAt.getTime();
  return { run, skippedFrom: isOnlyOne ? undefined : dueAt, next: cron.nextRun(now) ?? undefined };
}

function readCron({ cron, timeZone }: CronLine): Cron {
  // Croner finds out only when it is asked for a run.
  requireTimeZone(timeZone);
  try {
    return new Cron(cron, { mode: '5-part', timezone: timeZone, paused: true });
  } catch (cause) {
    throw refused(`The schedule ${JSON.stringify(cron)} cannot be read.`, cause);
  }
}

function refused(detail: string, cause?: unknown): VirgaError {
  return new VirgaError('InvalidArgument', {
    detail,
    action: 'Give minute, hour, day of the month, month and day of the week, such as "0 8 * * mon-fri".',
    field: '/cron',
    cause,
  });
}

function requireTimeZone(timeZone: string): void {
  try {
    new Intl.DateTimeFormat('en', { timeZone });
  } catch (cause) {
    throw new VirgaError('InvalidArgument', {
      detail: `There is no time zone ${JSON.stringify(timeZone)}.`,
      action: 'Give one of the IANA time zones, such as Europe/Berlin or UTC.',
      field: '/timeZone',
      cause,
    });
  }
}
