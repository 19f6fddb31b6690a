// Verbs that say how QEMU reads and writes a disk: of one that a guest has, by a restart; of one that it gets, as it gets it, with
// a thread of its own.
import type { Instance } from '@virga/contract/rest/instances';
import { virsh } from '../libvirt-cloud.ts';
import { detach, withoutVolumes } from './device-verbs.ts';
import { type Ask, params, says, start, type VerbUnderFault } from './verb-under-fault.ts';
import { findFree, freeVolume } from './volume-verbs.ts';

const otherDiscard = ({ rootDiskDriver }: Instance) => (rootDiskDriver?.discard === 'ignore' ? 'unmap' : 'ignore');

const attachWithThread: Ask = async (client, it) => {
  const volume = await findFree(client);
  // It came true, though the operation failed: there is none left.
  if (volume === undefined) return start(client, it);
  return client.attachVolume({ ...params(it), body: { volume: volume.id, driver: { ioThread: true } } });
};

const threadsOf = async ({ domainName }: Instance): Promise<number> =>
  (await virsh('iothreadinfo', domainName)).match(/^ \d+ /gm)?.length ?? 0;

export const diskDriverVerbs: readonly VerbUnderFault[] = [
  {
    name: 'other driver of a disk with a restart',
    ask: (client, it) =>
      client.setDiskDriver({
        params: { id: it.id, volumeId: it.rootDiskId },
        body: { driver: { cache: 'writethrough', discard: otherDiscard(it) }, restart: true },
      }),
    holds: async (it) =>
      it?.state === 'running' &&
      says(['dumpxml', it.domainName], `cache='writethrough' io='threads' discard='${it.rootDiskDriver?.discard}'`),
  },
  {
    name: 'attach of a volume with a thread of its own',
    before: [withoutVolumes, freeVolume],
    ask: attachWithThread,
    holds: async (it) => it?.volumes[0]?.state === 'attached' && (await threadsOf(it)) === 1,
  },
  {
    name: 'detach of a volume with a thread of its own',
    before: [
      async (client, it) => (it.volumes[0] && !it.volumes[0].driver?.ioThread ? detach(client, it) : undefined),
      async (client, it) => (it.volumes.length === 0 ? freeVolume(client, it) : undefined),
      async (client, it) => (it.volumes.length === 0 ? attachWithThread(client, it) : undefined),
    ],
    ask: detach,
    holds: async (it) => it?.state === 'running' && it.volumes.length === 0 && (await threadsOf(it)) === 0,
  },
];
