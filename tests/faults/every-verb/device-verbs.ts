// Verbs of what an instance has plugged in: volumes, network cards, a disc.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Instance } from '@virga/contract/rest/instances';
import { virsh } from '../libvirt-cloud.ts';
import { type Ask, off, params, type Step, says, start, type VerbUnderFault } from './verb-under-fault.ts';
import { findFree, freeVolume } from './volume-verbs.ts';

const attach: Ask = async (client, it) => {
  const volume = await findFree(client);
  // It came true, though the operation failed: there is none left.
  if (volume === undefined) return start(client, it);
  return client.attachVolume({ ...params(it), body: { volume: volume.id } });
};

/** One volume, in a guest that runs. */
const withVolume: readonly Step[] = [
  async (client, it) => (it.volumes.length === 0 ? freeVolume(client, it) : undefined),
  async (client, it) => (it.volumes.length === 0 ? attach(client, it) : undefined),
];

export const detach: Ask = async (client, it) => {
  const [volume] = (await client.getInstance(params(it))).volumes;
  if (volume === undefined) return start(client, it); // it came true, though the operation failed
  return client.detachVolume({ params: { id: it.id, volumeId: volume.id } });
};
export const withoutVolumes: Step = async (client, it) => (it.volumes[0] ? detach(client, it) : undefined);

const addNic: Ask = (client, it) => client.addNetworkInterface({ ...params(it), body: { network: 'default' } });
/** One that is gone is told as not found. */
const removeNic = async (client: Parameters<Ask>[0], { id }: Instance, nic: Instance['networkInterfaces'][number]) =>
  client.removeNetworkInterface({ params: { id, nicId: nic.id } });
const removeSecond: Step = async (client, it) =>
  it.networkInterfaces[1] && removeNic(client, it, it.networkInterfaces[1]);
/** Of a card that was refused and asked for once more, both may be there in the end. */
const removeThird: Step = async (client, it) =>
  it.networkInterfaces[2] && removeNic(client, it, it.networkInterfaces[2]);
const addSecond: Step = async (client, it) => (it.networkInterfaces[1] ? undefined : addNic(client, it));

const hasDomainDisks = async (it: Instance, count: number): Promise<boolean> =>
  (await virsh('domblklist', it.domainName)).split('\n').filter((line) => line.includes('/volumes/')).length === count;
const hasCards = async (it: Instance, ...options: string[]): Promise<boolean> =>
  (await virsh('domiflist', ...options, it.domainName)).match(/52:54:00/g)?.length === it.networkInterfaces.length;

const insert: Ask = (client, it) => client.changeCdrom({ ...params(it), body: { image: 'disc' } });
const eject: Ask = (client, it) => client.changeCdrom({ ...params(it), body: { image: null } });

const otherIops = ({ volumes: [volume] }: Instance) => (volume?.limits?.iops === 500 ? 600 : 500);

export const deviceVerbs: readonly VerbUnderFault[] = [
  {
    name: 'attach of a volume',
    before: [withoutVolumes, freeVolume],
    ask: attach,
    holds: async (it) =>
      it?.volumes.every(({ state: is }) => is === 'attached') === true && hasDomainDisks(it, it.volumes.length),
  },
  {
    name: 'grow of a volume that a guest has',
    before: withVolume,
    ask: (client, it) => {
      const [{ id, sizeBytes }] = it.volumes as [Instance['volumes'][number]];
      return client.resizeVolume({ params: { id }, body: { sizeGib: sizeBytes / 1024 ** 3 + 1 } });
    },
    holds: async (it) =>
      it?.volumes[0] !== undefined &&
      says(['domblkinfo', it.domainName, it.volumes[0].target], String(it.volumes[0].sizeBytes)),
  },
  {
    name: 'limit of a volume',
    before: withVolume,
    ask: (client, it) =>
      client.limitDisk({ params: { id: it.id, volumeId: it.volumes[0]!.id }, body: { iops: otherIops(it) } }),
    holds: async (it) =>
      it?.volumes[0] !== undefined &&
      says(['blkdeviotune', it.domainName, it.volumes[0].target], `: ${it.volumes[0].limits?.iops}\n`),
  },
  {
    name: 'detach of a volume',
    before: withVolume,
    ask: detach,
    holds: async (it) => it?.volumes.length === 0 && it.state === 'running' && hasDomainDisks(it, 0),
  },
  {
    name: 'detach of a volume from a stopped one',
    before: [...withVolume, off],
    ask: detach,
    holds: async (it) => it?.volumes.length === 0 && hasDomainDisks(it, 0),
  },
  {
    name: 'another network card',
    before: [removeSecond],
    ask: addNic,
    holds: async (it) => it !== undefined && hasCards(it),
  },
  {
    name: 'removal of a network card',
    before: [removeThird, addSecond],
    ask: (client, it) => removeNic(client, it, it.networkInterfaces[1]!),
    holds: async (it) => it?.networkInterfaces.length === 1 && hasCards(it),
  },
  {
    name: 'removal of a network card from a stopped one',
    before: [removeThird, addSecond, off],
    ask: (client, it) => removeNic(client, it, it.networkInterfaces[1]!),
    holds: async (it) => it?.networkInterfaces.length === 1 && hasCards(it, '--inactive'),
  },
  {
    name: 'limit of a network card',
    needs: ({ nicLimits }) => nicLimits,
    ask: (client, it) => {
      const [nic] = it.networkInterfaces as [Instance['networkInterfaces'][number]];
      const mebibytes = nic.limits?.inboundBytesPerSecond === 2 * 1024 ** 2 ? 3 : 2;
      return client.limitNetworkInterface({
        params: { id: it.id, nicId: nic.id },
        body: { inboundBytesPerSecond: mebibytes * 1024 ** 2 },
      });
    },
    holds: async (it) => {
      const [nic] = it?.networkInterfaces ?? [];
      const kibibytes = (nic?.limits?.inboundBytesPerSecond ?? 0) / 1024;
      return nic !== undefined && says(['domiftune', it!.domainName, nic.mac], `inbound.average: ${kibibytes}\n`);
    },
  },
  {
    name: 'inserting a disc',
    before: [async (client, it) => (it.cdrom?.imageId ? eject(client, it) : undefined)],
    ask: insert,
    holds: async (it) => it?.cdrom?.imageName === 'disc' && says(['domblklist', it.domainName], it.cdrom.imageId!),
  },
  {
    name: 'ejecting a disc',
    before: [async (client, it) => (it.cdrom?.imageId ? undefined : insert(client, it))],
    ask: eject,
    holds: async (it, { folder }) =>
      it?.cdrom?.imageId === null &&
      !(await says(['domblklist', it.domainName], '/images/')) &&
      // Somebody may delete the disc now.
      readFileSync(join(folder, 'storage/instances', it.id, 'discs.json'), 'utf8').trim() === '[]',
  },
];
