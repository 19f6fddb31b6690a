// How QEMU reads and writes disks: of instances, of types by default, of volumes as they are attached. Volumes that may be
// lost, and devices of hosts on which an administrator allows write-back.
import { type Kysely, sql } from 'kysely';

export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    alter table instance_types add column disk_driver jsonb;
    alter table instances add column root_disk_driver jsonb;
    alter table volumes add column scratch boolean not null default false;
    alter table volume_attachments add column driver jsonb;

    create table host_volatile_writeback (
      host_id text not null references hosts on delete cascade,
      -- What stays the same after a reboot; the name where there is nothing.
      device_key text not null,
      device_name text not null,
      allowed_by text not null,
      allowed_at timestamptz(3) not null,
      primary key (host_id, device_key)
    );
  `.execute(db);
}
