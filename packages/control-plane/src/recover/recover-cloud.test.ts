// A database that was lost, and what its hosts bring back: every column but those that no host can know.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import { newId } from '@virga/contract/ids';
import { SimulatedCloud } from '@virga/testing/simulated-cloud';
import { createTemporaryDatabase, type TemporaryDatabase } from '@virga/testing/temporary-database';
import { until } from '@virga/testing/until';
import { createBackupSchedule } from '../modules/backups/schedule-operations.ts';
import { createBackupStore } from '../modules/backups/store-operations.ts';
import { allowVolatileWriteback } from '../modules/hosts/host-disks.ts';
import { listHosts } from '../modules/hosts/host-operations.ts';
import { tuneHost } from '../modules/hosts/host-tuning-operations.ts';
import { createInstanceType } from '../modules/hosts/instance-type-operations.ts';
import { updateHost } from '../modules/hosts/update-host.ts';
import { adoptInstance } from '../modules/instances/adopt-instance.ts';
import { attachVolume } from '../modules/instances/attach-volume.ts';
import { changeCpu } from '../modules/instances/change-cpu.ts';
import { getInstance, stopInstance } from '../modules/instances/instance-operations.ts';
import { moveRootDisk } from '../modules/instances/move-root-disk.ts';
import { releaseInstance } from '../modules/instances/release-instance.ts';
import { resizeInstance } from '../modules/instances/resize-instance.ts';
import { createSchedule } from '../modules/instances/schedule-operations.ts';
import { updateInstance } from '../modules/instances/update-instance.ts';
import { listNetworks } from '../modules/networks/network-operations.ts';
import { setCpuBaseline } from '../modules/placement/cpu-baseline.ts';
import { reserveCpus } from '../modules/placement/cpu-pools.ts';
import { createPool } from '../modules/pools/pool-operations.ts';
import { createVolume } from '../modules/volumes/create-volume.ts';
import { createVolumeType } from '../modules/volumes/volume-type-operations.ts';
import { openStore, type Store } from '../store/database.ts';
import { hostKeepsakeOf } from './host-keepsake.ts';
import { recoverCloud } from './recover-cloud.ts';

let cloud: SimulatedCloud;
let database: TemporaryDatabase;
let isStopped = false;
before(async () => {
  cloud = await SimulatedCloud.start();
  await cloud.prepare();
  database = await createTemporaryDatabase();
});
after(async () => {
  if (isStopped) await cloud.startAgain();
  await cloud.close();
  await database.drop();
});

/** Nobody can know it any more, or it follows from when it is looked at. */
const lost = ['user_data', 'started_at', 'operation_id', 'retry_at', 'failures', 'xmin'];
const recover = (options: { cloudId?: string; dryRun?: boolean } = {}) =>
  recoverCloud({
    database: database.config,
    administrator: { name: 'admin', passwordHash: 'of the next start' },
    seal: cloud.deps.seal,
    hosts: [{ name: 'host-1', driver: 'simulated', agent: cloud.host().reopen() }],
    ...options,
  });

async function everyRow({ db }: Store) {
  const instances = await db.selectFrom('instances').selectAll().orderBy('id').execute();
  const kept = instances.map((row) => Object.fromEntries(Object.entries(row).filter(([name]) => !lost.includes(name))));
  return {
    instances: kept,
    nics: await db
      .selectFrom('nics')
      .select(['id', 'instance_id', 'network_id', 'mac', 'address', 'limits', 'position'])
      .orderBy('id')
      .execute(),
    volumes: await db.selectFrom('volumes').selectAll().orderBy('id').execute(),
    pools: await db
      .selectFrom('pools')
      .select([
        'id',
        'name',
        'driver',
        'host_id',
        'path',
        'generation',
        'opened',
        'overcommit',
        'is_default',
        'created_at',
      ])
      .where('driver', '!=', 'local')
      .execute(),
    attachments: await db
      .selectFrom('volume_attachments')
      .select(['volume_id', 'instance_id', 'target', 'read_only', 'limits', 'driver', 'delete_with_instance'])
      .orderBy('volume_id')
      .execute(),
    networks: await db.selectFrom('networks').selectAll().orderBy('id').execute(),
    images: await db.selectFrom('images').selectAll().orderBy('id').execute(),
    cpus: await db.selectFrom('host_cpus').selectAll().orderBy('cpu').execute(),
    projects: await db.selectFrom('projects').selectAll().orderBy('id').execute(),
    leases: await db.selectFrom('foreign_leases').selectAll().orderBy('address').execute(),
    taken: await db
      .selectFrom('addresses')
      .select(['address', 'nic_id'])
      .where('released_at', 'is', null)
      .orderBy('address')
      .execute(),
    allowed: await db.selectFrom('host_volatile_writeback').selectAll().execute(),
    promised: await db
      .selectFrom('hosts')
      .select(['id', 'name', 'allocated_vcpus', 'allocated_memory_mib', 'reserved_cpus'])
      .select(['vcpu_overcommit', 'memory_overcommit', 'memory_floor_mib', 'ksm_scope'])
      .execute(),
    tuned: await db
      .selectFrom('host_tunings')
      .select(['host_id', 'generation', 'converged_generation', 'desired', 'settled'])
      .execute(),
    schedules: await db
      .selectFrom('instance_schedules')
      .select(['id', 'instance_id', 'action', 'cron', 'time_zone', 'user_name'])
      .execute(),
    backupStores: await db
      .selectFrom('backup_stores')
      .select(['id', 'name', 'place', 'host_id', 'password_sealed', 's3_keys_sealed', 'limit_bytes_per_second'])
      .execute(),
    backupSchedules: await db
      .selectFrom('backup_schedules')
      .select(['id', 'project_id', 'instance_id', 'store_id', 'cron', 'time_zone', 'retention', 'chain_limit'])
      .select(['freezes', 'user_name', 'created_at'])
      .execute(),
    types: await db.selectFrom('instance_types').selectAll().orderBy('name').execute(),
    volumeTypes: await db.selectFrom('volume_types').selectAll().orderBy('name').execute(),
    settings: await db.selectFrom('settings').selectAll().orderBy('key').execute(),
  };
}

test('a lost database is rebuilt from its hosts, row by row, and what was asked for last holds', async () => {
  const { deps, operator, administrator } = cloud;
  const running = await cloud.launch('web');
  const off = await cloud.launch('off');
  await cloud.succeeded((await stopInstance(deps, operator, off.id)).operationId);
  const described = await updateInstance(deps, operator, running.id, {
    description: 'a web server',
    tags: { env: 'test' },
  });
  await cloud.succeeded(described.operationId);
  const { items: hosts } = await listHosts(deps.db, administrator, {});
  const hostId = hosts[0]!.id;
  await allowVolatileWriteback(deps, administrator, hostId, 'nvme0n1');
  const volume = await createVolume(deps, operator, { name: 'data', sizeGib: 1, scratch: true });
  await cloud.succeeded(volume.operationId);
  const attached = await attachVolume(deps, operator, running.id, {
    volume: 'data',
    limits: { iops: 100 },
    driver: { cache: 'writeback', ioThread: true },
  });
  await cloud.succeeded(attached.operationId);
  await cloud.succeeded(
    (await changeCpu(deps, operator, running.id, { policy: 'dedicated', shares: 200 })).operationId,
  );
  await createSchedule(deps, operator, running.id, { action: 'stop', cron: '0 0 29 2 *', timeZone: 'Europe/Berlin' });
  await updateHost(deps, administrator, hostId, { vcpuOvercommit: 6, memoryFloorMib: 100, ksmScope: 'host' });
  await reserveCpus(deps.db, administrator, hostId, [0]);
  await setCpuBaseline(deps, administrator, 'baseline');
  const type = { name: 'odd', vcpus: 3, memoryMib: 777, diskGib: 2, cpuPolicy: 'dedicated' } as const;
  await createInstanceType(deps.db, administrator, type);
  const fast = { name: 'fast', driver: 'directory', path: '/mnt/fast', overcommit: 2 } as const;
  await cloud.succeeded((await createPool(deps, administrator, fast)).operationId);
  await cloud.succeeded((await moveRootDisk(deps, operator, off.id, { pool: 'fast' })).operationId);
  await until('its host has it as it is since its disk was moved', async () => {
    const row = await deps.db.selectFrom('instances').selectAll().where('id', '=', off.id).executeTakeFirstOrThrow();
    return row.generation === row.converged_generation;
  });
  const sealed = await createVolume(deps, operator, { name: 'sealed', sizeGib: 1, pool: 'fast', encrypted: true });
  await cloud.succeeded(sealed.operationId);
  await createVolumeType(deps, administrator, { name: 'quick', format: 'raw', limits: { iops: 500 } });
  await cloud.succeeded(
    (await tuneHost(deps, administrator, hostId, { profile: 'density', overrides: { swappiness: 7 } })).operationId,
  );
  const backups = await createBackupStore(deps, administrator, {
    ...{ name: 'main', path: `/stores/${newId('backupStore')}`, limitBytesPerSecond: 1_000_000 },
  });
  await cloud.succeeded(backups.operationId);
  const nightly = { instance: 'web', cron: '0 3 29 2 *', retention: { last: 3, monthly: 2 }, chainLimit: 5 };
  await createBackupSchedule(deps, operator, nightly);
  cloud.host().keepMemory(true, running.id);
  await cloud.succeeded((await resizeInstance(deps, operator, running.id, { memoryMib: 128 })).operationId);
  await assert.rejects(releaseInstance(deps, operator, running.id), { code: 'Conflict', detail: /volumes attached/ });
  const leaver = await cloud.launch('leaver');
  await cloud.succeeded((await releaseInstance(deps, operator, leaver.id)).operationId);
  cloud.host().defineForeignDomain('win10', { state: 'running', memoryMib: 512 });
  cloud.host().defineForeignDomain('stranger', { state: 'running', memoryMib: 512 });
  const adopted = await adoptInstance(deps, administrator, { domain: 'win10' });
  await cloud.succeeded(adopted.operationId);
  const shown = await Promise.all([running, off, adopted.instance].map(({ id }) => cloud.instance(id)));
  const networks = await listNetworks(deps.db, operator, {});
  const rows = await everyRow(deps as unknown as Store);
  await until('the host has been given what it is to keep', async () => {
    const [kept] = (await cloud.host().inventory()).keepsakes;
    return isDeepStrictEqual(kept?.keepsake, await hostKeepsakeOf(deps.db, hostId));
  });
  await cloud.stop();
  isStopped = true;

  const seen = await recover({ dryRun: true });
  assert.deepEqual(seen.counts, {
    ...{ projects: 1, hosts: 1, networks: 1, images: 1, volumes: 2, instances: 3 },
    ...{ backupStores: 1, backupSchedules: 1, snapshotSchedules: 0 },
  });
  const recovered = await recover();
  assert.deepEqual(recovered, seen);
  assert.deepEqual([recovered.cloudId, recovered.leftAlone], [deps.cloudId, []]);

  const store = openStore(database.config);
  try {
    assert.deepEqual(await everyRow(store), rows);
    const { id: userId } = await store.db.selectFrom('users').select('id').executeTakeFirstOrThrow();
    const { user_id: runsAs } = await store.db.selectFrom('backup_schedules').selectAll().executeTakeFirstOrThrow();
    assert.equal(runsAs, userId, 'what is due is done on behalf of somebody that there is');
    const { kind } = await store.db.selectFrom('operations').selectAll().executeTakeFirstOrThrow();
    assert.equal(kind, 'backup-store.import', 'what is in the store is looked for by the next server');
    for (const before of shown) {
      const now = await getInstance(store.db, operator, before.id);
      // The host is not ready before its first report.
      assert.deepEqual({ ...now, startedAt: before.startedAt, stateReason: null }, { ...before, stateReason: null });
    }
    assert.deepEqual(await listNetworks(store.db, operator, {}), networks);
  } finally {
    await store.close();
  }
  assert.equal(cloud.host().bootCount(running.id), 1);
  await assert.rejects(recover(), { code: 'Conflict', detail: /not empty/ });
  await assert.rejects(recover({ cloudId: 'another' }), { code: 'NotFound' });
});
