// What a machine is made of, a drive for CD-ROMs, images that are such, and instances without an image.
import { type Kysely, sql } from 'kysely';

export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    alter table images add column kind text not null default 'disk' check (kind in ('disk', 'iso'));
    alter table images add constraint images_iso_is_raw check (kind = 'disk' or format = 'raw');

    alter table instances alter column image_id drop not null;
    alter table instances drop constraint instances_firmware_check;
    alter table instances add constraint instances_firmware_check check (firmware in ('bios', 'uefi', 'uefi-secure'));
    alter table instances
      add column hardware text not null default 'virtio' check (hardware in ('virtio', 'emulated', 'legacy')),
      add column tpm boolean not null default false,
      add column watchdog text check (watchdog in ('reset', 'poweroff', 'pause')),
      add column boot_order jsonb not null default '["disk"]',
      add column cdrom_drive boolean not null default false,
      add column cdrom_image_id text constraint instances_cdrom_image references images,
      add column cdrom_forced boolean not null default false,
      add constraint instances_cdrom_needs_drive check (cdrom_drive or cdrom_image_id is null);
    create index instances_cdrom_image_id on instances (cdrom_image_id);
  `.execute(db);
}
