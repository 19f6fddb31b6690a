// What of an instance's row lies with its domain only so that a lost database can be rebuilt from the hosts; `virga recover`
// reads it back. Name, description, host name of the guest and sizes need no place here: the desired instance has them. Left
// out is what follows from the rest: when an expiry warns, and when a schedule runs next.
import type { DesiredInstance } from '@virga/contract/agent/desired';
import type { ScheduledAction } from '@virga/contract/rest/instance-schedules';
import { type Selectable, sql } from 'kysely';
import type { Database } from '../../store/schema.ts';
import type { KeptProject } from '../projects/kept-project.ts';
import type { InstanceVolume } from './device-store.ts';

export type KeptSchedule = { id: string; action: ScheduledAction; cron: string; timeZone: string; createdBy: string };

/** What of a row is told otherwise, or is nothing to keep: what was seen, and what is being done about it. */
const leftOut: ReadonlySet<string> = new Set([
  ...['tags', 'delete_protection', 'autostart', 'crash_policy', 'expires_at', 'expiry_action'],
  ...['state', 'converged_generation', 'observed_state', 'observed_reason', 'allocated', 'started_at'],
  ...['failure', 'failures', 'retry_at', 'operation_id', 'user_data', 'released'],
  ...['observed_vcpus', 'observed_memory_mib', 'surplus_vcpus', 'surplus_memory_mib'],
]);

type KeptRow = Omit<Selectable<Database['instances']>, 'user_data'>;

/** @param columns names of the columns of instances, as a query names them */
export function keepsakeOf(
  row: KeptRow & {
    host_name: string;
    schedules: KeptSchedule[];
    project: KeptProject;
    volumes: Pick<InstanceVolume, 'id' | 'deleteWithInstance'>[];
  },
  columns: readonly string[],
): DesiredInstance['keepsake'] {
  const names = columns.map((column) => column.slice(column.indexOf('.') + 1)).filter((name) => !leftOut.has(name));
  return {
    project: row.project,
    host: { id: row.host_id, name: row.host_name },
    row: {
      ...Object.fromEntries(names.map((name) => [name, row[name as keyof KeptRow]])),
      // What was made of the definition is in the definition.
      drift: row.drift && { ...row.drift, diff: '' },
    },
    deletedWith: row.volumes.filter(({ deleteWithInstance }) => deleteWithInstance).map(({ id }) => id),
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
