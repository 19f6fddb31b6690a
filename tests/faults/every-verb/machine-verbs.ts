// Verbs that change what an instance is: name, sizes, hardware, definition.
import type { Instance } from '@virga/contract/rest/instances';
import { virsh } from '../libvirt-cloud.ts';
import { freshName, off, params, says, start, type VerbUnderFault } from './verb-under-fault.ts';

const bytesPerGib = 1024 ** 3;
const grownGib = ({ diskBytes }: Instance) => diskBytes / bytesPerGib + 1;
const otherVcpus = ({ vcpus }: Instance) => (vcpus === 1 ? 2 : 1);
const otherIops = ({ rootDiskLimits }: Instance) => (rootDiskLimits?.iops === 500 ? 600 : 500);

export const machineVerbs: readonly VerbUnderFault[] = [
  {
    name: 'rename',
    ask: (client, it) => client.updateInstance({ ...params(it), body: { name: freshName('vm-renamed') } }),
    holds: (it) => it?.name.startsWith('vm-renamed-') === true && it.state === 'running',
  },
  {
    name: 'rename of a stopped one',
    before: [off],
    ask: (client, it) => client.updateInstance({ ...params(it), body: { name: freshName('vm-still') } }),
    holds: async (it) =>
      it?.name.startsWith('vm-still-') === true &&
      (await virsh('list', '--all', '--name')).split('\n').includes(it.domainName),
  },
  {
    name: 'describing and tagging',
    ask: (client, it) => {
      const text = freshName('for');
      return client.updateInstance({ ...params(it), body: { description: text, tags: { what: text } } });
    },
    holds: async (it) =>
      it?.description.startsWith('for-') === true &&
      it.tags.what === it.description &&
      says(['dumpxml', '--inactive', it.domainName], it.description),
  },
  {
    name: 'grow of the disk',
    ask: (client, it) => client.resizeInstance({ ...params(it), body: { diskGib: grownGib(it) } }),
    holds: async (it) => it !== undefined && says(['domblkinfo', it.domainName, 'vda'], String(it.diskBytes)),
  },
  {
    name: 'resize with a restart',
    ask: (client, it) => client.resizeInstance({ ...params(it), body: { vcpus: otherVcpus(it), restart: true } }),
    holds: async (it) =>
      it?.state === 'running' && (await virsh('vcpucount', it.domainName, '--live')).trim().endsWith(String(it.vcpus)),
  },
  {
    name: 'other hardware with a restart',
    ask: (client, it) =>
      client.changeHardware({
        ...params(it),
        body: { watchdog: it.watchdog === null ? 'reset' : null, restart: true },
      }),
    holds: async (it) =>
      it?.state === 'running' && (await says(['dumpxml', it.domainName], 'i6300esb')) === (it.watchdog !== null),
  },
  {
    name: 'limit of a disk',
    ask: (client, it) =>
      client.limitDisk({ params: { id: it.id, volumeId: it.rootDiskId }, body: { iops: otherIops(it) } }),
    holds: async (it) =>
      it !== undefined && says(['blkdeviotune', it.domainName, 'vda'], `: ${it.rootDiskLimits?.iops}\n`),
  },
  {
    name: 'edit',
    ask: async (client, it) => {
      const { effective } = await client.getDefinition(params(it));
      const isKept = effective.includes('<on_crash>preserve');
      const xml = effective.replace(/<on_crash>\w+/, isKept ? '<on_crash>restart' : '<on_crash>preserve');
      const { operationId } = await client.setOverlay({ ...params(it), body: { xml } });
      return operationId ? { operationId } : start(client, it);
    },
    holds: async (it) =>
      it !== undefined &&
      /<on_crash>(preserve|restart)/.test(await virsh('dumpxml', '--inactive', it.domainName)) &&
      it.state === 'running',
  },
];
