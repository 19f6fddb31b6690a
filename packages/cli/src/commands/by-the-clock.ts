// What the commands of schedules have in common, whatever is done by the clock: which schedule, whose time, and when next.
import { VirgaError } from '@virga/contract/errors';
import { isId, type ScheduleId } from '@virga/contract/ids';
import { formatUntil } from '../moment.ts';

/** @throws NotFound it is no id of a schedule; `listCommand` shows those that there are */
export function readScheduleId(text: string, listCommand: string): ScheduleId {
  if (isId('schedule', text)) return text;
  throw new VirgaError('NotFound', {
    detail: `${text} is not the id of a schedule.`,
    action: `${listCommand} shows what there is.`,
  });
}

export const timeZoneHere = (): string => Intl.DateTimeFormat().resolvedOptions().timeZone;

export const formatNextRun = ({ nextRunAt }: { nextRunAt: string }, nowMs: number): string =>
  `${nextRunAt} (in ${formatUntil(nextRunAt, nowMs)})`;
