// What can begin as a copy of a running guest. Pure. A copy has the devices that the guest was booted with, so all that a
// template does not have is a reason to begin cold.
import { VirgaError } from '@virga/contract/errors';
import type { TemplateId } from '@virga/contract/ids';
import { uuidOf } from '../../reconcile/uuid-of.ts';
import type { ImageRow } from '../images/image-store.ts';

/** What a launch is, as far as that matters here. */
export type WarmCandidate = {
  image: ImageRow | null;
  iso: unknown;
  vcpus: number;
  memoryMib: number;
  maxVcpus: number | null;
  maxMemoryMib: number | null;
  diskBytes: number;
  rootDiskLimits: unknown;
  rootDiskDriver: unknown;
  pools?: unknown;
  rootClone?: string;
  cpu: { cpu_policy: string };
  hugePageKib?: number | null;
  hardware: {
    hardware: string;
    firmware: string;
    tpm: boolean;
    watchdog: unknown;
    bootOrder: string[];
    cdromDrive: boolean;
  };
};

/** @returns why it cannot begin as a copy; undefined when it can */
export function whyCold(launch: WarmCandidate): string | undefined {
  const { hardware } = launch;
  if (launch.image === null || launch.iso) return 'it does not start from an image';
  if (!launch.image.warmable) return `image ${launch.image.name} does not declare that its guests can be copied`;
  if (hardware.hardware !== 'virtio') return 'it has emulated hardware';
  if (hardware.firmware !== 'bios') return 'it boots from UEFI';
  if (hardware.tpm) return 'it has a TPM';
  if (hardware.watchdog !== null) return 'it has a watchdog';
  if (hardware.cdromDrive) return 'it has a CD-ROM drive';
  if (hardware.bootOrder.join() !== 'disk') return 'it has a boot order of its own';
  if ((launch.maxVcpus ?? launch.vcpus) !== launch.vcpus) return 'it has room for more vCPUs';
  if ((launch.maxMemoryMib ?? launch.memoryMib) !== launch.memoryMib) return 'it has room for more memory';
  if (launch.hugePageKib) return 'its memory is of huge pages';
  if (launch.cpu.cpu_policy !== 'shared') return 'it has CPUs or a NUMA node of its own';
  if (launch.rootDiskLimits !== null) return 'its disk has limits';
  if (launch.pools !== undefined) return 'its disk lies in a pool';
  if (launch.rootClone === 'full') return 'its disk is a full copy';
  if (launch.rootDiskDriver !== null) return 'its disk has a driver of its own';
  return undefined;
}

export function cannotBeginWarm(why: string): VirgaError {
  return new VirgaError('Conflict', {
    detail: `The instance cannot begin as a copy of a running guest: ${why}.`,
    action: 'Leave warm at auto to have it begin cold, or look at what is kept: virga images warm.',
    field: '/warm',
  });
}

/** Names on the host follow from ids, so that what no row owns can be found and removed. */
export const templateDomain = (id: TemplateId) => ({ uuid: uuidOf(id), domainName: `template.${id}` });
