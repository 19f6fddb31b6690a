// What is in the database, on the host and in its folders is the same: nothing was lost, nothing left behind, and nothing taken
// for what it is not.
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { until } from '@virga/testing/until';
import { type LibvirtCloud, virsh } from '../libvirt-cloud.ts';

/** @throws Error something is too much, or missing */
export async function nothingLeft({ cloud, folder }: LibvirtCloud, foreignDomains = 0): Promise<void> {
  const { client } = cloud;
  const storage = join(folder, 'storage');
  let difference = '';
  const clean = async () => {
    const [instances, volumes] = await Promise.all([
      client.listInstances({ query: {} }),
      client.listVolumes({ query: {} }),
    ]);
    const cards = instances.items.reduce((sum, { networkInterfaces }) => sum + networkInterfaces.length, 0);
    const counts = await cloud.store.db
      .selectFrom('hosts')
      .select(({ selectFrom }) => [
        'allocated_vcpus',
        selectFrom('instances')
          .where('allocated', '=', true)
          .select(({ fn }) => fn.sum('vcpus').as('sum'))
          .as('promised'),
      ])
      .executeTakeFirstOrThrow();
    const [templates, shells] = await Promise.all([
      cloud.store.db.selectFrom('image_templates').select('id').execute(),
      cloud.store.db.selectFrom('template_shells').select('instance_id as id').execute(),
    ]);
    const guests = [...instances.items, ...shells];
    const { domains, leases } = await count();
    const pairs: Record<string, [unknown, unknown]> = {
      instances: [idsOf(guests), idsIn(join(storage, 'instances'))],
      volumes: [idsOf(volumes.items), idsIn(join(storage, 'volumes'))],
      templates: [idsOf(templates), idsIn(join(storage, 'templates'))],
      domains: [guests.length + foreignDomains, domains],
      leases: [cards, leases],
      vcpus: [Number(counts.promised ?? 0), counts.allocated_vcpus],
    };
    const different = Object.entries(pairs).filter(([, [wanted, found]]) => wanted !== found);
    difference = different.map(([what, [wanted, found]]) => `${what}: ${found} instead of ${wanted}`).join('; ');
    return difference === '';
  };
  await until('nothing is left behind', clean, { timeoutMs: 60_000, intervalMs: 100 }).catch((error) => {
    throw new Error(`left behind or lost: ${difference || error.message}`, { cause: error });
  });
}

/** Nobody but Virga changes definitions here. @throws Error it takes a change of its own for somebody else's */
export async function nothingFromOutside({ cloud }: LibvirtCloud): Promise<void> {
  const told = await cloud.store.db
    .selectFrom('events')
    .select('message')
    .where('type', '=', 'instance.changed-outside')
    .executeTakeFirst();
  if (told) throw new Error(told.message);
}

const idsOf = (resources: readonly { id: string }[]): string =>
  resources
    .map(({ id }) => id)
    .sort()
    .join();

const idsIn = (folder: string): string => readdirSync(folder).sort().join();

const lines = (text: string): string[] => text.split('\n').filter((line) => line.trim() !== '');

/** The networks of the cloud stay the same. */
let networks: string[] | undefined;

/** By one process of virsh: it is asked again and again. */
async function count(): Promise<{ domains: number; leases: number }> {
  networks ??= lines(await virsh('net-list', '--all', '--name'));
  const asked = ['list --all --uuid', ...networks.map((name) => `net-dumpxml ${name.trim()}`)];
  const text = await virsh(asked.join('; '));
  return { domains: text.match(/^[0-9a-f-]{36}$/gm)?.length ?? 0, leases: text.match(/<host mac=/g)?.length ?? 0 };
}
