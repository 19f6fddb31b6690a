// Which CPUs a host has now and in which node each is, in a few reads of sysfs: looked at whenever a guest is defined. What
// else there is to say of them is in host-topology.
import { parseCpuList } from '@virga/contract/agent/cpu-list';
import type { HostSystem } from '../host-system/host-system.ts';

export type CpuLayout = {
  online: readonly number[];
  /** Of those, what the kernel gives no work by itself. */
  isolated: readonly number[];
  /** CPUs of each NUMA node. */
  nodes: ReadonlyMap<number, readonly number[]>;
};

const cpuFolder = '/sys/devices/system/cpu';
const nodeFolder = '/sys/devices/system/node';

export async function cpuLayout(system: HostSystem): Promise<CpuLayout> {
  const list = async (path: string) => parseCpuList((await system.read(path)) ?? '');
  const [online, isolated, names] = await Promise.all([
    list(`${cpuFolder}/online`),
    list(`${cpuFolder}/isolated`),
    system.list(nodeFolder),
  ]);
  const nodes = names.filter((name) => /^node\d+$/.test(name));
  const lists = await Promise.all(nodes.map((name) => list(`${nodeFolder}/${name}/cpulist`)));
  return {
    online: online.length > 0 ? online : [0],
    isolated,
    nodes: new Map(nodes.map((name, index) => [Number(name.slice('node'.length)), lists[index]!])),
  };
}
