// The copy of a volume that a running guest writes to: QEMU copies what is there, and writes all that is new to both places
// before it answers the guest, so that the new one is never behind once it is whole. Owns the job, not which place counts.
// @see https://libvirt.org/html/libvirt-libvirt-domain.html#virDomainBlockCopy
import { VirgaError } from '@virga/contract/errors';
import type { VolumeId } from '@virga/contract/ids';
import type { DomainRef } from '@virga/libvirt/protocol/objects';
import type { AgentContext } from '../agent-context.ts';
import { type DiskSource, diskType, sourceElements } from '../disks/disk-source.ts';
import { isLibvirtError } from '../hypervisor-errors.ts';
import { element } from '../xml.ts';
import { type MovedDisk, movedDisk } from './moved-disk.ts';

const lookAgainMs = 100;

/** The disk as the running domain has it; undefined: it does not run, or runs without it. */
export function liveDisk({ hypervisor }: AgentContext, ref: DomainRef, id: VolumeId): Promise<MovedDisk | undefined> {
  return hypervisor.ask(`look at ${id} of ${ref.name}`, async ({ domains }) => {
    try {
      return (await domains.isActive(ref)) ? movedDisk(await domains.xml(ref), id) : undefined;
    } catch (error) {
      if (isLibvirtError(error, 'NO_DOMAIN')) return undefined;
      throw error;
    }
  });
}

/** @param bandwidthBytesPerSecond undefined: as fast as it goes */
export function startMirror(
  { hypervisor }: AgentContext,
  ref: DomainRef,
  target: string,
  { destination, bandwidthBytesPerSecond }: { destination: DiskSource; bandwidthBytesPerSecond?: number | undefined },
): Promise<void> {
  const xml = element(
    'disk',
    { type: diskType(destination), device: 'disk' },
    element('driver', { name: 'qemu', type: destination.format }),
    ...sourceElements(destination),
  );
  return hypervisor.act(`copy ${target} of ${ref.name}`, ({ domains }) =>
    domains.blockCopy(ref, target, xml, {
      reuseExternal: true,
      // libvirt asks for that where a domain is defined: a restarted guest would not go on with the copy, and need not.
      transientJob: true,
      synchronousWrites: true,
      ...(bandwidthBytesPerSecond !== undefined && { bandwidthBytesPerSecond }),
    }),
  );
}

/** How far it is, 0 to 100; undefined: there is no job. */
export function mirrorPercent(
  { hypervisor }: AgentContext,
  ref: DomainRef,
  target: string,
): Promise<number | undefined> {
  return hypervisor.ask(`look at ${target} of ${ref.name}`, async ({ domains }) => {
    try {
      const job = await domains.blockJobInfo(ref, target);
      return job && (job.end === 0 ? 0 : Math.floor((100 * job.current) / job.end));
    } catch (error) {
      if (isLibvirtError(error, 'OPERATION_INVALID', 'NO_DOMAIN', 'INVALID_ARG')) return undefined;
      throw error;
    }
  });
}

/** Asks QEMU to let the new place count. What has come of it is seen on the domain. */
export function pivot({ hypervisor }: AgentContext, ref: DomainRef, target: string): Promise<void> {
  return hypervisor.act(`let ${ref.name} go on with the copy of ${target}`, async ({ domains }) => {
    try {
      await domains.blockJobAbort(ref, target, { pivot: true });
    } catch (error) {
      // It is not ready any more, or there is no job, or no guest.
      if (!isLibvirtError(error, 'BLOCK_COPY_ACTIVE', 'OPERATION_INVALID', 'INVALID_ARG', 'NO_DOMAIN')) throw error;
    }
  });
}

/** Ends the job without a change, when there is one. Ends once QEMU has let go of the new place. */
export async function abortMirror(context: AgentContext, ref: DomainRef, id: VolumeId): Promise<void> {
  for (;;) {
    const disk = await liveDisk(context, ref, id);
    if (disk?.mirror === undefined) return;
    await context.hypervisor.act(`end the copy of ${id}`, async ({ domains }) => {
      try {
        await domains.blockJobAbort(ref, disk.target);
      } catch (error) {
        if (!isLibvirtError(error, 'OPERATION_INVALID', 'INVALID_ARG', 'NO_DOMAIN')) throw error;
      }
    });
    await context.clock.delay(lookAgainMs);
  }
}

export const gaveUp = (id: VolumeId, name: string) =>
  new VirgaError('HypervisorRefused', {
    detail: `QEMU gave up copying the disk ${id} of ${name}.`,
    action: 'See the log of the guest on the host: /var/log/libvirt/qemu. Nothing is lost; move it again.',
  });
