// Whether this host's kernel can weigh and cap the CPU time of guests, and in which unit libvirt wants weights: those of
// cgroup v1 have another default than those of v2. libvirt takes the controller of v2 where there is one.
// @see libvirt, src/util/vircgroup.c
import type { HostFeature } from '@virga/contract/agent/host-features';
import type { HostSystem } from '../../host-system/host-system.ts';

export type CpuWeights = {
  /** What libvirt is to be told for a guest without a weight of its own. */
  usual: number;
  highest: number;
};

const ofVersion1: CpuWeights = { usual: 1024, highest: 262_144 };
const ofVersion2: CpuWeights = { usual: 100, highest: 10_000 };
/** What shares are given in. */
const usualShares = 100;

/** Undefined: it can do neither. */
export async function cpuWeights(system: HostSystem): Promise<CpuWeights | undefined> {
  const mounts = ((await system.read('/proc/self/mounts')) ?? '').split('\n').map((line) => line.split(' '));
  const unified = mounts.find(([, , type]) => type === 'cgroup2')?.[1];
  const controllers = unified && (await system.read(`${unified}/cgroup.controllers`));
  if (controllers?.trim().split(' ').includes('cpu')) return ofVersion2;
  const own = mounts.find(([, , type, options]) => type === 'cgroup' && options?.split(',').includes('cpu'))?.[1];
  return own !== undefined && (await system.exists(`${own}/cpu.cfs_quota_us`)) ? ofVersion1 : undefined;
}

export const cpuLimitFeatures = async (system: HostSystem): Promise<HostFeature[]> =>
  (await cpuWeights(system)) ? ['cpu-limits'] : [];

/** A weight as libvirt is to be told it. */
export const weightOf = (shares: number | null, { usual, highest }: CpuWeights): number =>
  shares === null ? usual : Math.min(highest, Math.max(2, Math.round((shares * usual) / usualShares)));
