// Resizing, as the fault tests ask for it: each time to another size than before, while the guest runs and with a restart.
import type { Client } from '@virga/contract/client';
import type { InstanceId } from '@virga/contract/ids';
import type { ResizeInstance } from '@virga/contract/rest/instance-resize';
import type { Instance } from '@virga/contract/rest/instances';
import { virsh } from '../libvirt-cloud.ts';
import type { VerbUnderFault } from './verbs.ts';

const bytesPerGib = 1024 ** 3;

const to =
  (size: (instance: Instance) => ResizeInstance): VerbUnderFault['ask'] =>
  async (client: Client, id: InstanceId) => {
    const instance = await client.getInstance({ params: { id } });
    return client.resizeInstance({ params: { id }, body: size(instance) });
  };

export const resizeVerbs: readonly VerbUnderFault[] = [
  {
    name: 'resize of a disk',
    ask: to(({ diskBytes }) => ({ diskGib: diskBytes / bytesPerGib + 1 })),
    holds: async (instance) => {
      if (instance?.state !== 'running') return false;
      const info = await virsh('domblkinfo', instance.domainName, 'vda');
      return Number(/Capacity: +(\d+)/.exec(info)?.[1]) === instance.diskBytes;
    },
  },
  {
    name: 'resize by a restart',
    ask: to(({ vcpus }) => ({ vcpus: vcpus === 1 ? 2 : 1, restart: true })),
    holds: async (instance) => {
      if (instance?.state !== 'running' || instance.observedVcpus !== instance.vcpus) return false;
      return new RegExp(`CPU\\(s\\): +${instance.vcpus}\\n`).test(await virsh('dominfo', instance.domainName));
    },
  },
];
