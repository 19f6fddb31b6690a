// Every check of a host, in the order in which they are shown. Nothing else lists them.
import { VirgaError } from '@virga/contract/errors';
import type { HostCheck } from './host-check.ts';
import { kvmChecks } from './kvm-checks.ts';
import { memoryChecks } from './memory-checks.ts';
import { networkChecks } from './network-checks.ts';
import { processorChecks } from './processor-checks.ts';
import { softwareChecks } from './software-checks.ts';
import { storageChecks } from './storage-checks.ts';
import { systemChecks } from './system-checks.ts';
import { virtualizationChecks } from './virtualization-checks.ts';

/** By theme. */
export const hostCheckThemes = {
  Virtualization: virtualizationChecks,
  KVM: kvmChecks,
  'libvirt and QEMU': softwareChecks,
  Processors: processorChecks,
  Memory: memoryChecks,
  Disks: storageChecks,
  Networks: networkChecks,
  'Operating system': systemChecks,
} as const satisfies Record<string, readonly HostCheck[]>;

export const hostChecks: readonly HostCheck[] = Object.values(hostCheckThemes).flat();

/** Those of these names, in the order of the table; all without names. @throws InvalidArgument there is none of a name */
export function chosenChecks(names?: readonly string[]): readonly HostCheck[] {
  const unknown = names?.find((name) => !hostChecks.some((check) => check.name === name));
  if (unknown !== undefined) {
    throw new VirgaError('InvalidArgument', {
      detail: `There is no check of hosts named ${unknown}.`,
      action: `It is one of ${hostChecks.map(({ name }) => name).join(', ')}.`,
      field: '/checks',
    });
  }
  return names === undefined ? hostChecks : hostChecks.filter(({ name }) => names.includes(name));
}
