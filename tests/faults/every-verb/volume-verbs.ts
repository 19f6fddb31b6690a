// Verbs of a volume that no instance has. There is at most one such volume at a time.
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Client } from '@virga/contract/client';
import type { VolumeId } from '@virga/contract/ids';
import type { Volume } from '@virga/contract/rest/volumes';
import { type Ask, freshName, type Step, type VerbUnderFault } from './verb-under-fault.ts';

const run = promisify(execFile);

export async function findFree({ listVolumes }: Pick<Client, 'listVolumes'>): Promise<Volume | undefined> {
  return (await listVolumes({ query: {} })).items.find(({ attachment }) => attachment === null);
}

const create: Ask = (client, { id }) =>
  client.createVolume({ body: { name: freshName('data'), sizeGib: 1, instance: id } });

/** A volume on the host of the instance, which it has not. */
export const freeVolume: Step = async (client, it) => ((await findFree(client)) ? undefined : create(client, it));

const dropFree: Step = async (client) => {
  const volume = await findFree(client);
  return volume && client.deleteVolume({ params: { id: volume.id }, query: {} });
};

let doomed: VolumeId | undefined;

export const volumeVerbs: readonly VerbUnderFault[] = [
  {
    name: 'creating a volume',
    before: [dropFree],
    ask: create,
    holds: async (_it, { cloud }) => (await findFree(cloud.client))?.state === 'available',
  },
  {
    name: 'grow of a volume',
    before: [freeVolume],
    ask: async (client) => {
      const { id, sizeBytes } = (await findFree(client))!;
      return client.resizeVolume({ params: { id }, body: { sizeGib: sizeBytes / 1024 ** 3 + 1 } });
    },
    holds: async (_it, { cloud, folder }) => {
      const volume = await findFree(cloud.client);
      if (volume?.state !== 'available') return false;
      const disk = join(folder, 'storage/volumes', volume.id, 'disk.qcow2');
      const info = JSON.parse((await run('qemu-img', ['info', '--output=json', disk])).stdout);
      return info['virtual-size'] === volume.sizeBytes && volume.sizeBytes > 1024 ** 3;
    },
  },
  {
    name: 'deleting a volume',
    before: [freeVolume],
    ask: async (client) => {
      // The same one again: it is not found when it came true all the same.
      doomed = (await findFree(client))?.id ?? doomed;
      return client.deleteVolume({ params: { id: doomed! }, query: {} });
    },
    holds: async (_it, { cloud }) => (await findFree(cloud.client)) === undefined,
  },
];
