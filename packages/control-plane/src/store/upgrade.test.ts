// A database of the first version is brought to this one with what is in it.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { sql } from 'kysely';
import { Migrator } from 'kysely/migration';
import { desiredInstanceOf, findInstanceOrder, toInstance } from '../modules/instances/instance-store.ts';
import { openStore } from './database.ts';
import { migrate } from './migrate.ts';
import * as foundation from './migrations/0001-foundation.ts';
import * as compute from './migrations/0002-compute.ts';
import * as hostAction from './migrations/0003-host-action.ts';
import * as freeAddresses from './migrations/0004-free-addresses.ts';
import * as addressRows from './migrations/0005-address-rows.ts';

const firstVersion = {
  '0001-foundation': foundation,
  '0002-compute': compute,
  '0003-host-action': hostAction,
  '0004-free-addresses': freeAddresses,
  '0005-address-rows': addressRows,
};

const rows = sql`
  insert into projects (id, name) values ('proj-00000000000000001', 'default');
  insert into hosts (id, name, driver, state) values ('host-00000000000000001', 'alpha', 'libvirt', 'ready');
  insert into images (id, project_id, name, visibility, state, format, default_user, minimum_memory_mib, source)
    values ('ami-00000000000000001', 'proj-00000000000000001', 'starter', 'public', 'available', 'qcow2', 'root', 64,
      '{"kind": "file", "path": "/x"}');
  insert into instances (id, project_id, name, uuid, host_id, image_id, type, vcpus, memory_mib, disk_bytes, root_disk_id,
      firmware, key_pairs, desired, allocated, observed_state, reboot, generation, converged_generation, created_at)
    values
      ('i-00000000000000001', 'proj-00000000000000001', 'web', '0f9a3a34-6c50-4d5f-9d7b-3f0b7f4f1d11',
        'host-00000000000000001', 'ami-00000000000000001', 'small', 2, 512, 1073741824, 'vol-00000000000000001', 'bios',
        '[]', 'running', true, 'running', '{"token": "3-again", "hard": true}', 3, 3, '2026-01-01T00:00:00Z'),
      ('i-00000000000000002', 'proj-00000000000000001', 'old', '0f9a3a34-6c50-4d5f-9d7b-3f0b7f4f1d12',
        'host-00000000000000001', 'ami-00000000000000001', 'small', 1, 256, 1073741824, 'vol-00000000000000002', 'uefi',
        '[]', 'stopped', false, 'stopped', null, 5, 5, '2026-01-01T00:00:00Z')`;

test('instances of the first version are what they were, with the names, sizes and hardware that they had', async () => {
  const text = process.env.VIRGA_TEST_DATABASE;
  if (!text) throw new Error('VIRGA_TEST_DATABASE is not set: run this test with script/test, which starts PostgreSQL');
  const cluster = { database: 'postgres', ...JSON.parse(text) };
  const administration = openStore(cluster);
  const database = `virga_upgrade_${process.pid}_${randomBytes(4).toString('hex')}`;
  await administration.pool.query(`create database ${database}`);
  const store = openStore({ ...cluster, database });
  try {
    const migrator = new Migrator({ db: store.db, provider: { getMigrations: async () => firstVersion } });
    assert.equal((await migrator.migrateToLatest()).error, undefined);
    await rows.execute(store.db);
    await migrate(store.db);

    const web = (await findInstanceOrder(store.db, 'i-00000000000000001'))!;
    const desired = desiredInstanceOf(web, 'cloud');
    assert.equal(desired.domainName, 'web.i-00000000000000001');
    assert.equal(desired.seed.hostName, 'web');
    assert.deepEqual([desired.vcpus, desired.maxVcpus, desired.memoryMib, desired.maxMemoryMib], [2, 2, 512, 512]);
    assert.deepEqual([desired.hardware, desired.firmware, desired.tpm, desired.cdrom], ['virtio', 'bios', false, null]);
    assert.equal(desired.reboot, null, 'it was done');
    const shown = toInstance(web);
    assert.deepEqual(
      [shown.state, shown.origin, shown.tags, shown.deleteProtection],
      ['running', 'launched', {}, false],
    );
    assert.equal(toInstance((await findInstanceOrder(store.db, 'i-00000000000000002'))!).state, 'stopped');
  } finally {
    await store.close();
    await administration.pool.query(`drop database ${database} with (force)`);
    await administration.close();
  }
});
