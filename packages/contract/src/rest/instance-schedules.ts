// Schedules of an instance: what it does by the clock.
import { type Static, Type } from 'typebox';
import { IdSchema } from '../ids.ts';
import { route } from '../route.ts';
import { idParams, Nothing, Page, pageQuery, Time } from './shared.ts';

export const maxSchedules = 20;

export const ScheduledAction = Type.Union([
  Type.Literal('start'),
  Type.Literal('stop'),
  Type.Literal('suspend'),
  Type.Literal('resume'),
  Type.Literal('hibernate'),
  Type.Literal('reboot'),
]);
export type ScheduledAction = Static<typeof ScheduledAction>;

const Cron = Type.String({
  minLength: 1,
  maxLength: 200,
  description: 'minute, hour, day of the month, month and day of the week, such as 0 8 * * mon-fri',
});
const TimeZone = Type.String({
  minLength: 1,
  maxLength: 64,
  description: 'the IANA time zone that the times are of, such as Europe/Berlin',
});

export const Schedule = Type.Object(
  {
    id: IdSchema('schedule'),
    instanceId: IdSchema('instance'),
    action: ScheduledAction,
    cron: Cron,
    timeZone: TimeZone,
    nextRunAt: Time,
    createdBy: Type.String({ description: 'whose role decides whether it may run' }),
    createdAt: Time,
  },
  { $id: 'Schedule' },
);
export type Schedule = Static<typeof Schedule>;

export const CreateSchedule = Type.Object(
  { action: ScheduledAction, cron: Cron, timeZone: Type.Optional(TimeZone) },
  { $id: 'CreateSchedule', additionalProperties: false },
);
export type CreateSchedule = Static<typeof CreateSchedule>;

export const instanceScheduleRoutes = {
  listSchedules: route({
    method: 'GET',
    path: '/v1/instances/{id}/schedules',
    summary: 'List the schedules of an instance, with when each runs next',
    access: { scope: 'project', role: 'viewer' },
    params: idParams('instance'),
    query: Type.Object(pageQuery),
    ok: Page(Schedule),
  }),
  createSchedule: route({
    method: 'POST',
    path: '/v1/instances/{id}/schedules',
    summary:
      'Start, stop, suspend, resume, hibernate or reboot an instance by the clock; the time zone is UTC unless it is named',
    access: { scope: 'project', role: 'operator' },
    params: idParams('instance'),
    body: CreateSchedule,
    ok: Schedule,
    status: 201,
  }),
  deleteSchedule: route({
    method: 'DELETE',
    path: '/v1/instances/{id}/schedules/{scheduleId}',
    summary: 'Delete a schedule',
    access: { scope: 'project', role: 'operator' },
    params: Type.Object({ id: IdSchema('instance'), scheduleId: IdSchema('schedule') }),
    ok: Nothing,
  }),
};
