// Paused and hibernated instances, several ways to reboot, and names of domains and guests that outlive a renaming.
import { type Kysely, sql } from 'kysely';

export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    drop index instances_state;
    alter table instances drop column state;
    alter table instances drop constraint instances_desired_check;
    alter table instances add constraint instances_desired_check
      check (desired in ('running', 'paused', 'stopped', 'hibernated', 'deleted'));
    -- The same as instanceState in modules/instances/instance.ts; here so that lists can be filtered by it.
    alter table instances add column state text not null generated always as (case
      when desired = 'deleted' then 'deleting'
      when failure is not null then 'error'
      when desired in ('running', 'paused') then case
        when observed_state = 'paused' then 'paused'
        when observed_state in ('running', 'stopping', 'stopped') and reboot is not null
          and converged_generation <> generation then 'rebooting'
        when observed_state = 'running' then 'running'
        else 'pending' end
      when observed_state in ('stopped', 'hibernated') then observed_state
      when converged_generation <> generation then case desired when 'hibernated' then 'hibernating' else 'stopping' end
      when observed_state = 'absent' then 'stopped'
      else observed_state end) stored;
    create index instances_state on instances (project_id, state, created_at, id);
    update instances set reboot = reboot - 'hard' || jsonb_build_object('how',
      case when (reboot ->> 'hard')::boolean then 'reset' else 'acpi' end) where reboot is not null;
    alter table instances add column domain_name text;
    alter table instances add column guest_host_name text;
    update instances set domain_name = name || '.' || id, guest_host_name = name;
    alter table instances alter column domain_name set not null, alter column guest_host_name set not null;
  `.execute(db);
}
