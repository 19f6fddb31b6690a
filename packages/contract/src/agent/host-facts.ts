// What a host says about itself: capacity, versions, and how it runs guests. Facts are observed, never configured.
import { type Static, Type } from 'typebox';
import { HostFeature } from './host-features.ts';

export const Acceleration = Type.Object({
  mode: Type.Union([Type.Literal('kvm'), Type.Literal('tcg')]),
  reason: Type.String({ description: 'why this mode: what was tried and what was seen' }),
});
export type Acceleration = Static<typeof Acceleration>;

export const HostFacts = Type.Object({
  name: Type.String(),
  arch: Type.String({ description: 'as libvirt names it, such as x86_64' }),
  cpuModel: Type.String(),
  cpuThreads: Type.Integer(),
  memoryMib: Type.Integer(),
  storagePath: Type.String(),
  storageTotalBytes: Type.Integer(),
  storageFreeBytes: Type.Integer(),
  acceleration: Acceleration,
  hypervisorVersion: Type.String({ description: 'QEMU, such as 7.2.22' }),
  libvirtVersion: Type.String(),
  kernelVersion: Type.String(),
  features: Type.Array(HostFeature),
  bootId: Type.String({ description: 'another one after each start of the host' }),
  nicLimits: Type.Boolean({ description: 'its kernel can limit the rate of a network interface' }),
});
export type HostFacts = Static<typeof HostFacts>;
