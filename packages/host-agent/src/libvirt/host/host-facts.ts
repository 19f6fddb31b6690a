// Facts about the host, read anew each time: from libvirt what it knows, from the kernel the rest. Changes nothing.
import { cpus, release } from 'node:os';
import type { HostFacts } from '@virga/contract/agent/host-facts';
import type { Version } from '@virga/libvirt/api/node';
import { availableMemoryMib } from '../../host-memory/host-memory.ts';
import { hostTopology } from '../../host-topology/host-topology.ts';
import type { AgentContext } from '../agent-context.ts';
import { storageSpace } from '../storage.ts';
import { hostArchitecture } from './architecture.ts';
import { hostBootId } from './boot-id.ts';
import { cpuLimitFeatures } from './cpu-weights.ts';
import { hostFeatures } from './host-features.ts';
import { hugePageFeatures } from './huge-pages.ts';

const kibPerMib = 1024;

/** @throws HostUnavailable libvirt does not answer */
export async function hostFacts({
  hypervisor,
  storage,
  accelerator,
  nicLimits,
  system,
  disks,
}: AgentContext): Promise<HostFacts> {
  const [
    [info, name, hypervisorVersion, libvirtVersion, features],
    space,
    acceleration,
    canLimitNics,
    topology,
    sight,
    [availableMib, pageFeatures, limitFeatures],
  ] = await Promise.all([
    hypervisor.ask('look at the host', (connection) => {
      const { node } = connection;
      const versions = [node.hypervisorVersion(), node.version()] as const;
      return Promise.all([node.info(), node.hostname(), ...versions, hostFeatures(connection)]);
    }),
    storageSpace(storage),
    accelerator.acceleration({ again: true }),
    nicLimits.canLimit(),
    hostTopology(system),
    disks.lately(),
    Promise.all([availableMemoryMib(system), hugePageFeatures(system), cpuLimitFeatures(system)]),
  ]);
  return {
    name,
    arch: hostArchitecture(),
    cpuModel: cpus()[0]?.model ?? 'unknown',
    cpuThreads: info.cpus,
    memoryMib: Math.floor(Number(info.memoryKib) / kibPerMib),
    ...(availableMib !== undefined && { memoryAvailableMib: availableMib }),
    storagePath: storage.path,
    storageTotalBytes: space.totalBytes,
    storageFreeBytes: space.freeBytes,
    storageDevices: sight.devices,
    diskAbilities: sight.abilities,
    acceleration,
    hypervisorVersion: versionText(hypervisorVersion),
    libvirtVersion: versionText(libvirtVersion),
    kernelVersion: release(),
    ...topology,
    nicLimits: canLimitNics,
    features: [...features, ...pageFeatures, ...limitFeatures],
    bootId: hostBootId(),
  };
}

const versionText = ({ major, minor, release }: Version): string => `${major}.${minor}.${release}`;
