// Which CPUs and NUMA nodes a host has, as its kernel tells in sysfs. Reads anew each time, changes nothing. A host whose
// kernel knows no nodes has one with everything.
import type { HostCpu, NumaNode } from '@virga/contract/agent/host-facts';
import type { HostSystem } from '../host-system/host-system.ts';
import { kibOf } from '../host-system/kib-of.ts';
import { cpuLayout } from './cpu-layout.ts';

export type HostTopology = { cpus: HostCpu[]; numaNodes: NumaNode[] };

const cpuFolder = '/sys/devices/system/cpu';
const nodeFolder = '/sys/devices/system/node';

export async function hostTopology(system: HostSystem): Promise<HostTopology> {
  const [numaNodes, { online, isolated, nodes }] = await Promise.all([readNodes(system), cpuLayout(system)]);
  const nodeOf = new Map([...nodes].flatMap(([id, cpus]) => cpus.map((cpu) => [cpu, id])));
  const cpus = await Promise.all(
    online.map(async (id): Promise<HostCpu> => {
      const topology = `${cpuFolder}/cpu${id}/topology`;
      const [socket, core] = await Promise.all([
        readNumber(system, `${topology}/physical_package_id`),
        readNumber(system, `${topology}/core_id`),
      ]);
      // Some virtual machines number every package -1.
      return {
        id,
        node: nodeOf.get(id) ?? numaNodes[0]!.id,
        socket: Math.max(0, socket ?? 0),
        core: core ?? id,
        isolated: isolated.includes(id),
      };
    }),
  );
  return { cpus, numaNodes };
}

/** CPUs that share a core with this one, itself included. */
export const siblingsOf = (cpus: readonly HostCpu[], of: HostCpu): HostCpu[] =>
  cpus.filter(({ socket, core, node }) => socket === of.socket && core === of.core && node === of.node);

async function readNodes(system: HostSystem): Promise<NumaNode[]> {
  const names = (await system.list(nodeFolder)).filter((name) => /^node\d+$/.test(name));
  if (names.length === 0) {
    const memoryMib = memoryOf((await system.read('/proc/meminfo')) ?? '');
    return [{ id: 0, memoryMib, hugePages: await readHugePages(system, '/sys/kernel/mm/hugepages') }];
  }
  const nodes = await Promise.all(
    names.map(async (name) => ({
      id: Number(name.slice('node'.length)),
      memoryMib: memoryOf((await system.read(`${nodeFolder}/${name}/meminfo`)) ?? ''),
      hugePages: await readHugePages(system, `${nodeFolder}/${name}/hugepages`),
    })),
  );
  return nodes.sort((a, b) => a.id - b.id);
}

async function readHugePages(system: HostSystem, folder: string): Promise<NumaNode['hugePages']> {
  const pages: NumaNode['hugePages'] = [];
  for (const name of await system.list(folder)) {
    const sizeKib = Number(/^hugepages-(\d+)kB$/.exec(name)?.[1]);
    if (Number.isNaN(sizeKib)) continue;
    const [total = 0, free = 0] = await Promise.all(
      ['nr_hugepages', 'free_hugepages'].map((file) => readNumber(system, `${folder}/${name}/${file}`)),
    );
    pages.push({ sizeKib, total, free });
  }
  return pages.sort((a, b) => a.sizeKib - b.sizeKib);
}

const memoryOf = (meminfo: string): number => Math.floor((kibOf(meminfo, 'MemTotal') ?? 0) / 1024);

async function readNumber(system: HostSystem, path: string): Promise<number | undefined> {
  const text = (await system.read(path))?.trim();
  return text !== undefined && /^-?\d+$/.test(text) ? Number(text) : undefined;
}
