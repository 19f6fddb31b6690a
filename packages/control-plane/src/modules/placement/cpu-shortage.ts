// What is said when a host has not the CPUs that an instance asks for. Pure.
import { hugePageName } from '@virga/contract/agent/host-memory';
import { VirgaError } from '@virga/contract/errors';
import type { Demand } from './demand.ts';

/** @param who such as "No host has" */
export function noCpus(who: string, { vcpus, memoryMib, hugePages, cpu }: Demand): VirgaError {
  const total = cpu?.total ?? { vcpus, memoryMib, hugePages };
  if (cpu?.hostCpus) {
    return new VirgaError('NoCapacity', {
      detail: `${who} the CPUs ${cpu.hostCpus.join(', ')}, with their whole cores, free for one instance.`,
      action: 'See what has them: virga hosts cpus; or let placement choose: virga pin INSTANCE --policy dedicated.',
      field: '/hostCpus',
    });
  }
  if (cpu?.policy === 'numa') {
    const { hugePages: pages } = total;
    const memory = pages
      ? `${pages.count} huge pages of ${hugePageName(pages.kib)} free there`
      : `${total.memoryMib} MiB free`;
    return new VirgaError('NoCapacity', {
      detail: `${who} a NUMA node with ${total.vcpus} CPUs and ${memory} for one instance.`,
      action: `Choose a smaller type, stop another instance${pages ? ', reserve more huge pages in one node' : ''}, or leave the policy at shared.`,
      field: '/cpuPolicy',
    });
  }
  return new VirgaError('NoCapacity', {
    detail: `${who} ${total.vcpus} ${cpu?.policy === 'isolated' ? 'isolated ' : ''}CPUs to dedicate: cores are given whole, and what is reserved or promised to instances that share stays.`,
    action: 'Stop an instance, choose a type with fewer vCPUs, or see who has which: virga hosts cpus.',
    field: '/cpuPolicy',
  });
}
