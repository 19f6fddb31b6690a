// What a host says about itself: capacity, versions, and how it runs guests. Facts are observed, never configured.
import { type Static, Type } from 'typebox';
import { DiskAbilities, StorageDevice } from './block-devices.ts';
import { HostFeature } from './host-features.ts';

export const Acceleration = Type.Object({
  mode: Type.Union([Type.Literal('kvm'), Type.Literal('tcg')]),
  reason: Type.String({ description: 'why this mode: what was tried and what was seen' }),
});
export type Acceleration = Static<typeof Acceleration>;

export const HostCpu = Type.Object({
  id: Type.Integer(),
  node: Type.Integer({ description: 'NUMA node' }),
  socket: Type.Integer(),
  core: Type.Integer({ description: 'within the socket; CPUs of one core are hyper-thread siblings' }),
  isolated: Type.Boolean({ description: 'the kernel gives it no work by itself (isolcpus)' }),
});
export type HostCpu = Static<typeof HostCpu>;

export const NumaNode = Type.Object({
  id: Type.Integer(),
  memoryMib: Type.Integer(),
  /** Static huge pages by size. */
  hugePages: Type.Array(Type.Object({ sizeKib: Type.Integer(), total: Type.Integer(), free: Type.Integer() })),
});
export type NumaNode = Static<typeof NumaNode>;

export const HostFacts = Type.Object({
  name: Type.String(),
  arch: Type.String({ description: 'as libvirt names it, such as x86_64' }),
  cpuModel: Type.String(),
  cpuThreads: Type.Integer(),
  memoryMib: Type.Integer(),
  memoryAvailableMib: Type.Optional(Type.Integer({ description: 'what could be given to somebody without swapping' })),
  storagePath: Type.String(),
  storageTotalBytes: Type.Integer(),
  storageFreeBytes: Type.Integer(),
  storageDevices: Type.Array(StorageDevice, { description: 'disks that it lies on; none when that is unknown' }),
  diskAbilities: DiskAbilities,
  acceleration: Acceleration,
  hypervisorVersion: Type.String({ description: 'QEMU, such as 7.2.22' }),
  libvirtVersion: Type.String(),
  kernelVersion: Type.String(),
  features: Type.Array(HostFeature),
  bootId: Type.String({ description: 'another one after each start of the host' }),
  cpus: Type.Array(HostCpu, { description: 'online, by id' }),
  numaNodes: Type.Array(NumaNode, { description: 'at least one' }),
  nicLimits: Type.Boolean({ description: 'its kernel can limit the rate of a network interface' }),
});
export type HostFacts = Static<typeof HostFacts>;
