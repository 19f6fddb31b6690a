// What not every host can give a machine, and what is said when one cannot: the same from the control plane, which asks the
// host's facts, and from an agent, which looks again.
import { type Static, Type } from 'typebox';
import { VirgaError } from '../errors.ts';
import type { DesiredInstance } from './desired.ts';
import type { HugePageKib } from './host-memory.ts';

export const HostFeature = Type.Union([
  Type.Literal('uefi'),
  Type.Literal('uefi-secure', { description: 'UEFI with Secure Boot' }),
  Type.Literal('tpm'),
  Type.Literal('emulated', { description: 'machines without virtio devices' }),
  Type.Literal('legacy', { description: 'machines of the 1990s' }),
  Type.Literal('cpu-limits', { description: 'CPU shares and caps' }),
  Type.Literal('huge-pages-2m', { description: 'memory of static huge pages of 2 MiB' }),
  Type.Literal('huge-pages-1g', { description: 'memory of static huge pages of 1 GiB' }),
]);
export type HostFeature = Static<typeof HostFeature>;

/** What the host must be able to give such a machine. */
export function neededFeatures({
  hardware,
  firmware,
  tpm,
  memoryBacking,
  cpu,
}: Pick<DesiredInstance, 'hardware' | 'firmware' | 'tpm'> &
  Partial<Pick<DesiredInstance, 'memoryBacking'>> & {
    cpu?: Pick<DesiredInstance['cpu'], 'shares' | 'capPercent'>;
  }): HostFeature[] {
  return [
    ...(hardware === 'virtio' ? [] : [hardware]),
    ...(firmware === 'bios' ? [] : [firmware]),
    ...(tpm ? (['tpm'] as const) : []),
    ...((cpu?.shares ?? cpu?.capPercent) ? (['cpu-limits'] as const) : []),
    ...(memoryBacking?.hugePageKib ? [hugePageFeature(memoryBacking.hugePageKib)] : []),
  ];
}

/** What a host has to be able to for guests on such pages; whether it has any is counted apart. */
export const hugePageFeature = (kib: HugePageKib): HostFeature => (kib === 2048 ? 'huge-pages-2m' : 'huge-pages-1g');

const mountFirst = (pages: string, options: string) => ({
  detail: `cannot give guests huge pages of ${pages}: its libvirtd found no hugetlbfs of that size when it was started`,
  action: `Mount it there and start libvirtd again: mkdir -p /dev/hugepages-${options} && mount -t hugetlbfs -o pagesize=${options} hugetlbfs /dev/hugepages-${options}; see docs/guides/memory.md.`,
  field: '/type',
});

const lacking: Record<HostFeature, { detail: string; action: string; field: string }> = {
  uefi: {
    detail: 'has no UEFI firmware for guests',
    action: 'Install it there: apt-get install ovmf.',
    field: '/firmware',
  },
  'uefi-secure': {
    detail: 'has no UEFI firmware with Secure Boot for guests',
    action: 'Install it there: apt-get install ovmf.',
    field: '/firmware',
  },
  tpm: {
    detail: 'cannot emulate a TPM',
    action: 'Install what does it there: apt-get install swtpm swtpm-tools.',
    field: '/tpm',
  },
  emulated: {
    detail: 'has no machines without virtio devices',
    action: 'Use virtio hardware, or a host with x86_64 processors.',
    field: '/hardware',
  },
  legacy: {
    detail: 'has no machines of that age',
    action: 'Use virtio hardware, or a host with x86_64 processors.',
    field: '/hardware',
  },
  'cpu-limits': {
    detail: 'can neither weigh nor cap the CPU time of guests, because its kernel shows no cgroup controller for that',
    action: 'Leave shares and cap out, or mount the controller cpu there and start libvirtd again.',
    field: '/cpuShares',
  },
  'huge-pages-2m': mountFirst('2 MiB', '2M'),
  'huge-pages-1g': mountFirst('1 GiB', '1G'),
};

/** @param host as a subject, such as "Host alpha" */
export function hostIncapable(host: string, feature: HostFeature): VirgaError {
  const { detail, ...rest } = lacking[feature];
  return new VirgaError('HostIncapable', { detail: `${host} ${detail}.`, ...rest });
}
