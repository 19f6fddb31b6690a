// Rebuilds a lost database from what its hosts keep: projects, networks, images, volumes and instances, as they were applied
// last. Touches no host. All in one transaction into a database without resources, so it happens whole or not at all, and
// again gives the same. What no host knows is lost: users and keys, user data, operations and events.
import type { HostAgent } from '@virga/contract/agent/agent';
import type { FoundInstance, Inventory } from '@virga/contract/agent/inventory';
import { VirgaError } from '@virga/contract/errors';
import { type HostId, newId, type UserId } from '@virga/contract/ids';
import { sql } from 'kysely';
import type pg from 'pg';
import { systemAccess } from '../access/system-access.ts';
import { cloudIdKey } from '../bootstrap.ts';
import { appendEvent } from '../events/event-log.ts';
import { defaultInstanceTypes, insertInstanceType } from '../modules/hosts/instance-type-operations.ts';
import { adoptAdministrator } from '../modules/identity/identity-operations.ts';
import type { Seal } from '../modules/identity/seal.ts';
import { firstRun } from '../modules/instances/instance-schedule.ts';
import { parsePublicKey } from '../modules/key-pairs/public-key.ts';
import { addressRange } from '../modules/networks/address-pool.ts';
import { insertAddresses } from '../modules/networks/address-store.ts';
import type { KeptProject } from '../modules/projects/kept-project.ts';
import { inTransaction, openStore, type Tx } from '../store/database.ts';
import { migrate } from '../store/migrate.ts';
import { type CloudPart, chooseCloud } from './choose-cloud.ts';
import { recoverBackups } from './recovered-backups.ts';
import { recoverCpus } from './recovered-cpus.ts';
import { hostColumns, keptHostOf, recoverCloudSettings, recoverHost } from './recovered-hosts.ts';
import { recoverPools } from './recovered-pools.ts';
import { recoverReleased } from './recovered-releases.ts';
import { hostOf, imageRow, instanceRow, keptOf, networkRow, schedulesOf } from './recovered-rows.ts';
import { recoverSnapshotSchedules, recoverSnapshots } from './recovered-snapshots.ts';
import { recoverAllowances, recoverAttachments, recoverVolumes } from './recovered-volumes.ts';

export type RecoverOptions = {
  database: pg.PoolConfig;
  hosts: { name: string; driver: 'libvirt' | 'simulated'; agent: HostAgent }[];
  /** Which cloud, when the hosts know several. */
  cloudId?: string | undefined;
  /** Who signs in first after it, on whose behalf schedules run then. */
  administrator?: { name: string; passwordHash: string } | undefined;
  /** Of the server, for what hosts keep sealed. */
  seal?: Seal | undefined;
  /** Only look. */
  dryRun?: boolean | undefined;
};

export type Recovered = {
  cloudId: string;
  counts: Record<
    | 'projects'
    | 'hosts'
    | 'networks'
    | 'images'
    | 'volumes'
    | 'instances'
    | 'backupStores'
    | 'backupSchedules'
    | 'snapshotSchedules',
    number
  >;
  /** What is there and could not be taken, or needs something to be done, a sentence each. */
  leftAlone: string[];
};

type HostPart = CloudPart & { id: HostId; name: string; driver: 'libvirt' | 'simulated'; agent: HostAgent };

/**
 * @throws Conflict the database has resources
 * @throws NotFound no host knows that cloud, or any | InvalidArgument they know several, and none was named
 * @throws HostUnavailable | StoreUnavailable
 */
export async function recoverCloud(options: RecoverOptions): Promise<Recovered> {
  const { database, hosts, cloudId: wanted, dryRun } = options;
  const inventories: Inventory[] = [];
  for (const { agent } of hosts) inventories.push(await agent.inventory());
  const { cloudId, parts } = chooseCloud(inventories, wanted);
  const store = openStore({ ...database, max: 2 });
  try {
    await migrate(store.db);
    return await inTransaction(store.db, async (tx) => {
      await refuseUnlessEmpty(tx);
      const hostParts = parts.map((part, index) => ({ ...part, ...hosts[index]!, id: idOf(part, hosts[index]!.name) }));
      await emptyTables(tx);
      const leftAlone: string[] = [];
      const counts = await write(tx, cloudId, hostParts, leftAlone, options);
      if (dryRun) throw new Preview({ cloudId, counts, leftAlone });
      return { cloudId, counts, leftAlone };
    });
  } catch (error) {
    if (error instanceof Preview) return error.recovered;
    throw error;
  } finally {
    await store.close();
  }
}

/** Takes a transaction back that was only to show what it would do. */
class Preview extends Error {
  readonly recovered: Recovered;
  constructor(recovered: Recovered) {
    super('nothing was written');
    this.recovered = recovered;
  }
}

/** A server that was started on it has made its first project and its administrator; nothing hangs on those. */
async function refuseUnlessEmpty(tx: Tx): Promise<void> {
  for (const table of ['instances', 'networks', 'images'] as const) {
    const found = await tx.selectFrom(table).select('name').limit(1).executeTakeFirst();
    if (!found) continue;
    throw new VirgaError('Conflict', {
      detail: `The database is not empty: it has ${table}, such as ${found.name}.`,
      action: 'Only a lost database is rebuilt. To rebuild this one nevertheless, move its folder away first.',
    });
  }
}

async function emptyTables(tx: Tx): Promise<void> {
  await sql`truncate settings, projects, users, hosts, instance_types, backup_stores cascade`.execute(tx);
}

/** As the cloud knew the host, if it or an instance on it says so. */
function idOf(part: CloudPart, name: string): HostId {
  const known = [keptHostOf(part)?.host, ...part.instances.map(hostOf)];
  return known.find((host) => host?.name === name)?.id ?? newId('host');
}

async function write(
  tx: Tx,
  cloudId: string,
  hosts: HostPart[],
  leftAlone: string[],
  { administrator, seal }: Pick<RecoverOptions, 'administrator' | 'seal'>,
): Promise<Recovered['counts']> {
  const access = systemAccess('recover');
  await sql`insert into settings (key, value) values (${cloudIdKey}, ${cloudId})
    on conflict (key) do update set value = excluded.value`.execute(tx);
  const userId = administrator ? await adoptAdministrator(tx, access, administrator) : null;
  const types = (await recoverCloudSettings(tx, hosts)) ? [] : defaultInstanceTypes;
  for (const type of types) {
    const there = await tx.selectFrom('instance_types').select('name').where('name', '=', type.name).executeTakeFirst();
    if (!there) await insertInstanceType(tx, access, type);
  }
  const projects = await writeProjects(tx, hosts);
  const networks = unique(hosts.flatMap((host) => host.networks));
  let networkCount = 0;
  for (const network of networks.sort((one, other) => other.generation - one.generation)) {
    if (!keptOf(network.keepsake)) {
      leftAlone.push(`Network ${network.id} does not say which project it belongs to.`);
      continue;
    }
    const row = networkRow(network);
    await tx.insertInto('networks').values(row).execute();
    await insertAddresses(tx, access, network.id, addressRange(String(row.cidr)));
    networkCount++;
  }
  const images = unique(hosts.flatMap((host) => host.images));
  let imageCount = 0;
  for (const image of images) {
    if (!keptOf(image.keepsake)) leftAlone.push(`Image ${image.id} does not say which project it belongs to.`);
    else {
      await tx.insertInto('images').values(imageRow(image)).execute();
      imageCount++;
    }
  }
  let volumes = 0;
  let instances = 0;
  let snapshotSchedules = 0;
  for (const host of hosts) {
    await tx
      .insertInto('hosts')
      .values({
        id: host.id,
        name: host.name,
        driver: host.driver,
        state: 'unreachable',
        state_reason: null,
        state_action: null,
        facts: null,
        last_seen_at: null,
        ...hostColumns(host),
      })
      .execute();
    await recoverPools(tx, host);
    volumes += await recoverVolumes(tx, host, leftAlone);
    await recoverAllowances(tx, host);
    await recoverHost(tx, host);
    for (const found of host.instances) {
      if (!keptOf(found.desired.keepsake)) {
        leftAlone.push(`Domain ${found.desired.domainName} on ${host.name} does not say enough; it goes on as it is.`);
        continue;
      }
      await writeInstance(tx, found, host, { leftAlone, userId });
      instances++;
    }
    snapshotSchedules += await recoverSnapshotSchedules(tx, host, { userId, leftAlone });
    await recoverSnapshots(tx, host, leftAlone);
    await countPromised(tx, host.id);
    await recoverReleased(tx, access, cloudId, host);
  }
  const backups = await recoverBackups(tx, access, hosts, { seal, userId, leftAlone });
  const counts = {
    ...{ projects, hosts: hosts.length, networks: networkCount, images: imageCount, volumes, instances },
    ...{ ...backups, snapshotSchedules },
  };
  await appendEvent(tx, access, {
    type: 'cloud.recovered',
    projectId: null,
    message: `The database was rebuilt from the hosts: ${instances} instances, ${networkCount} networks, ${imageCount} images, ${volumes} volumes.`,
    data: counts,
  });
  return counts;
}

async function writeProjects(tx: Tx, hosts: HostPart[]): Promise<number> {
  const keepsakes = hosts.flatMap(({ instances, networks, images, volumes }) => [
    ...instances.map(({ desired }) => desired.keepsake),
    ...[...networks, ...images, ...volumes].map(({ keepsake }) => keepsake),
  ]);
  const projects = new Map<string, KeptProject>();
  for (const keepsake of keepsakes) {
    const project = keepsake?.project as KeptProject | undefined;
    if (project && !projects.has(project.id)) projects.set(project.id, project);
  }
  const names = new Set<string>();
  for (const { id, name, description, createdAt } of projects.values()) {
    // Of two of one name, one had been deleted; its resources are still told apart by the other name.
    const own = names.has(name) ? `${name.slice(0, 57)}-${id.slice(-5)}` : name;
    names.add(own);
    await sql`insert into projects (id, name, description, created_at)
      values (${id}, ${own}, ${description}, ${createdAt}::timestamptz)`.execute(tx);
  }
  return projects.size;
}

async function writeInstance(
  tx: Tx,
  found: FoundInstance,
  host: HostPart,
  { leftAlone, userId }: { leftAlone: string[]; userId: UserId | null },
): Promise<void> {
  const row = instanceRow(found, host.id);
  for (const column of ['image_id', 'cdrom_image_id'] as const) {
    const id = row[column];
    if (!id) continue;
    const image = await tx.selectFrom('images').select('id').where('id', '=', id).executeTakeFirst();
    if (image) continue;
    leftAlone.push(`Image ${id} of instance ${row.name} is on no host; the instance is told to have none.`);
    row[column] = null;
  }
  if (
    row.folder_pool_id &&
    !(await tx.selectFrom('pools').select('id').where('id', '=', row.folder_pool_id).executeTakeFirst())
  )
    row.folder_pool_id = null;
  const pool = row.root_pool_id;
  if (pool && !(await tx.selectFrom('pools').select('id').where('id', '=', pool).executeTakeFirst())) {
    leftAlone.push(`Pool ${pool} of instance ${row.name} is told of by no host; its disk is used where it is.`);
    row.root_pool_id = null;
  }
  await tx.insertInto('instances').values(row).execute();
  if (row.allocated) await recoverCpus(tx, found, host.id);
  for (const [position, { id, networkId, mac, address, limits }] of found.desired.nics.entries()) {
    const network = await tx.selectFrom('networks').select('id').where('id', '=', networkId).executeTakeFirst();
    if (!network) {
      leftAlone.push(`Network ${networkId} of instance ${row.name} is on no host; its card there is left out.`);
      continue;
    }
    await tx
      .insertInto('nics')
      .values({
        id,
        instance_id: found.desired.id,
        network_id: networkId,
        mac,
        address,
        limits: limits ? JSON.stringify(limits) : null,
        position,
      })
      .execute();
    await tx
      .updateTable('addresses')
      .set({ nic_id: id, released_at: null })
      .where('network_id', '=', networkId)
      .where('address', '=', address)
      .execute();
  }
  await recoverAttachments(tx, found, leftAlone);
  await writeSchedules(tx, found, userId);
  await writeKeyPairs(tx, found);
}

async function writeSchedules(tx: Tx, found: FoundInstance, userId: UserId | null): Promise<void> {
  for (const { id, action, cron, timeZone, createdBy } of schedulesOf(found)) {
    await tx
      .insertInto('instance_schedules')
      .values({
        id: id as never,
        instance_id: found.desired.id,
        action,
        cron,
        time_zone: timeZone,
        next_run_at: firstRun({ cron, timeZone }, new Date()),
        user_id: userId,
        user_name: createdBy,
      })
      .execute();
  }
}

/** A key pair that an instance was launched with can be launched with again. */
async function writeKeyPairs(tx: Tx, { desired }: FoundInstance): Promise<void> {
  const keyPairs = keptOf(desired.keepsake)?.row.key_pairs as { name: string; publicKey: string }[] | undefined;
  for (const { name, publicKey } of keyPairs ?? []) {
    await tx
      .insertInto('key_pairs')
      .values({
        id: newId('keyPair'),
        project_id: desired.projectId,
        name,
        public_key: publicKey,
        fingerprint: parsePublicKey(publicKey).fingerprint,
      })
      .onConflict((conflict) => conflict.doNothing())
      .execute();
  }
}

async function countPromised(tx: Tx, hostId: HostId): Promise<void> {
  await sql`update hosts set
      allocated_vcpus = (select coalesce(sum(vcpus + surplus_vcpus), 0) from instances where host_id = hosts.id and allocated),
      allocated_memory_mib = (select coalesce(sum(memory_mib + surplus_memory_mib), 0) from instances where host_id = hosts.id and allocated and huge_page_kib is null),
      allocated_huge_2m_pages = (select coalesce(sum((memory_mib + surplus_memory_mib) / 2), 0) from instances where host_id = hosts.id and allocated and huge_page_kib = 2048),
      allocated_huge_1g_pages = (select coalesce(sum((memory_mib + surplus_memory_mib) / 1024), 0) from instances where host_id = hosts.id and allocated and huge_page_kib = 1048576)
    where id = ${hostId}`.execute(tx);
}

const unique = <T extends { id: string }>(items: T[]): T[] => [
  ...new Map(items.map((item) => [item.id, item])).values(),
];
