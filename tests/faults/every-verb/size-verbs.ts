// Verbs that give a running guest more vCPUs and more or less memory, without a restart. Under emulation vCPUs only come: once a
// guest has all that it was started with room for, it is started anew with one.
import type { Instance } from '@virga/contract/rest/instances';
import { virsh } from '../libvirt-cloud.ts';
import { off, params, type Step, start, type VerbUnderFault } from './verb-under-fault.ts';

const most = { vcpus: 5, memoryMib: 256 };
const least = { vcpus: 1, memoryMib: 64 };
const stepMib = 32;

const isOff = ({ state }: Instance) => state === 'stopped';

/** Off, small again, and on; nothing of it where there is room. */
const started = (hasRoom: (it: Instance) => boolean): readonly Step[] => [
  async (client, it) => (hasRoom(it) ? undefined : off(client, it)),
  async (client, it) =>
    isOff(it)
      ? client.resizeInstance({
          ...params(it),
          body: { ...least, maxVcpus: most.vcpus, maxMemoryMib: most.memoryMib },
        })
      : undefined,
  async (client, it) => (isOff(it) ? start(client, it) : undefined),
];

const hasRoomForVcpus = ({ vcpus, maxVcpus }: Instance) => maxVcpus === most.vcpus && vcpus < maxVcpus;
const hasRoomForMemory = ({ memoryMib, maxMemoryMib }: Instance) =>
  maxMemoryMib === most.memoryMib && memoryMib < maxMemoryMib;
const hasMemoryToSpare = ({ memoryMib, maxMemoryMib }: Instance) =>
  maxMemoryMib === most.memoryMib && memoryMib > least.memoryMib;

const resized = (it: Instance, wanted: { vcpus?: number; memoryMib?: number }) => ({ ...params(it), body: wanted });

/** What was plugged in is as much as is wanted beyond what the guest was started with; less than that is the balloon's. */
async function hasMemory(it: Instance | undefined): Promise<boolean> {
  if (it?.state !== 'running') return false;
  const xml = await virsh('dumpxml', it.domainName);
  const mib = (pattern: RegExp) => Number(pattern.exec(xml)?.[1] ?? 0) / 1024;
  const bootedMib = mib(/<memory unit='KiB'>(\d+)</) - mib(/<size unit='KiB'>(\d+)</);
  return mib(/<requested unit='KiB'>(\d+)</) === Math.max(0, it.memoryMib - bootedMib);
}

export const sizeVerbs: readonly VerbUnderFault[] = [
  {
    name: 'vCPUs for a running guest',
    before: started(hasRoomForVcpus),
    ask: (client, it) => client.resizeInstance(resized(it, { vcpus: it.vcpus + 1 })),
    holds: async (it) =>
      it?.state === 'running' && (await virsh('vcpucount', it.domainName, '--live')).trim().endsWith(`${it.vcpus}`),
  },
  {
    name: 'memory for a running guest',
    before: started(hasRoomForMemory),
    ask: (client, it) => client.resizeInstance(resized(it, { memoryMib: it.memoryMib + stepMib })),
    holds: hasMemory,
  },
  {
    name: 'memory back from a running guest',
    before: [
      ...started(hasRoomForMemory),
      async (client, it) =>
        hasMemoryToSpare(it) ? undefined : client.resizeInstance(resized(it, { memoryMib: most.memoryMib })),
    ],
    ask: (client, it) => client.resizeInstance(resized(it, { memoryMib: it.memoryMib - stepMib })),
    holds: hasMemory,
  },
];
