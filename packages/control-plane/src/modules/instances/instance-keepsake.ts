// What of an instance's row lies with its domain only so that a lost database can be rebuilt from the hosts; `virga recover`
// reads it back. Name, description, host name of the guest and sizes need no place here: the desired instance has them. Left
// out is what follows from the rest: when an expiry warns, and when a schedule runs next.
import type { DesiredInstance } from '@virga/contract/agent/desired';
import type { ScheduledAction } from '@virga/contract/rest/instance-schedules';
import { sql } from 'kysely';
import type { InstanceRow } from './instance-store.ts';

export type KeptSchedule = { id: string; action: ScheduledAction; cron: string; timeZone: string; createdBy: string };

export function keepsakeOf(row: InstanceRow & { schedules: KeptSchedule[] }): DesiredInstance['keepsake'] {
  return {
    tags: row.tags,
    deleteProtection: row.delete_protection,
    autostart: row.autostart,
    crashPolicy: row.crash_policy,
    expiresAt: row.expires_at?.toISOString() ?? null,
    expiryAction: row.expiry_action,
    schedules: row.schedules,
  };
}

/** Column of a query of instances. */
export const keptSchedules = sql<KeptSchedule[]>`(
  select coalesce(json_agg(json_build_object('id', s.id, 'action', s.action, 'cron', s.cron, 'timeZone', s.time_zone,
    'createdBy', s.user_name) order by s.created_at, s.id), '[]'::json)
  from instance_schedules s where s.instance_id = instances.id)`;
