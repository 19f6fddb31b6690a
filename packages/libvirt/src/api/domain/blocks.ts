// A domain's disks and the jobs on them: resize, commit, pull, copy, backup. Disks are named by target (`vda`) or path.
// Owns no state; jobs run on in libvirt, and the `block-job` event tells their end. Fails with LibvirtError.
import type { CallOptions } from '../../connection/call-table.ts';
import type { Session } from '../../connection/session.ts';
import * as calls from '../../protocol/domain/block-calls.ts';
import type { DomainRef } from '../../protocol/objects.ts';
import { type ParameterRecord, parameterRecord, typedParametersOf } from '../../protocol/typed-parameters.ts';
import { type Flags, flagBits, nameOf } from '../flags.ts';

const bytes = { resize: 1, jobInfo: 1, jobSpeed: 1, pull: 64, commit: 16 } as const;
const commitFlags = { shallow: 1, delete: 2, active: 4, relative: 8 } as const;
const rebaseFlags = { shallow: 1, reuseExternal: 2, relative: 16 } as const;
const copyFlags = { shallow: 1, reuseExternal: 2, transientJob: 4, synchronousWrites: 8 } as const;
const copyFields = {
  bandwidthBytesPerSecond: ['bandwidth', 'ullong'],
  granularityBytes: ['granularity', 'uint'],
  bufferBytes: ['buf-size', 'ullong'],
} as const;
const abortFlags = { async: 1, pivot: 2 } as const;
const backupFlags = { reuseExternal: 1 } as const;
const jobTypes = ['unknown', 'pull', 'copy', 'commit', 'active-commit', 'backup'] as const;
const diskErrors = ['none', 'unspecified', 'no-space'] as const;
const domainJobTypes = ['none', 'bounded', 'unbounded', 'completed', 'failed', 'cancelled'] as const;
const stringsOkay = 4;

export interface BlockInfo {
  /** What the guest sees. */
  capacityBytes: number;
  /** Highest byte written. */
  allocationBytes: number;
  /** What it takes on the host. */
  physicalBytes: number;
}

export interface BlockJob {
  type: (typeof jobTypes)[number];
  bandwidthBytesPerSecond: number;
  /** Progress: done when it reaches `end`. */
  current: number;
  end: number;
}

/** 0 or left out: as fast as it goes. */
export interface Bandwidth {
  bandwidthBytesPerSecond?: number | undefined;
}

export function domainBlocks(session: Session) {
  return {
    /** Grows (or shrinks) a disk while the domain runs. */
    async blockResize(domain: DomainRef, disk: string, sizeBytes: number, options?: CallOptions): Promise<void> {
      await session.call(calls.domainBlockResize, { domain, disk, sizeBytes, flags: bytes.resize }, options);
    },

    async blockInfo(domain: DomainRef, disk: string, options?: CallOptions): Promise<BlockInfo> {
      return session.call(calls.domainGetBlockInfo, { domain, disk, flags: 0 }, options);
    },

    /** Requests and bytes read and written, by libvirt's names (`rd_bytes`, `wr_operations` ...). */
    async blockStats(domain: DomainRef, disk: string, options?: CallOptions): Promise<ParameterRecord> {
      const ask = (count: number) =>
        session.call(calls.domainBlockStatsFlags, { domain, disk, count, flags: stringsOkay }, options);
      return parameterRecord((await ask((await ask(0)).count)).parameters);
    },

    /** Disks that stopped the domain with an error, and why. */
    async diskErrors(
      domain: DomainRef,
      options?: CallOptions,
    ): Promise<{ disk: string; error: (typeof diskErrors)[number] | 'unknown' }[]> {
      const { errors } = await session.call(calls.domainGetDiskErrors, { domain, maxErrors: 256, flags: 0 }, options);
      return errors.map(({ disk, error }) => ({ disk, error: nameOf(diskErrors, error) }));
    },

    /** Merges the layers from `top` (default the active one) down into `base` (default the lowest). */
    async blockCommit(
      domain: DomainRef,
      disk: string,
      options?: { base?: string; top?: string } & Bandwidth & Flags<typeof commitFlags> & CallOptions,
    ): Promise<void> {
      const { base = null, top = null, bandwidthBytesPerSecond: bandwidth = 0 } = options ?? {};
      const flags = flagBits(commitFlags, options) | bytes.commit;
      await session.call(calls.domainBlockCommit, { domain, disk, base, top, bandwidth, flags }, options);
    },

    /** Copies everything from the backing images into the active one, so that it stands alone. */
    async blockPull(domain: DomainRef, disk: string, options?: Bandwidth & CallOptions): Promise<void> {
      const { bandwidthBytesPerSecond: bandwidth = 0 } = options ?? {};
      await session.call(calls.domainBlockPull, { domain, disk, bandwidth, flags: bytes.pull }, options);
    },

    /** As `blockPull`, but keeps `base` as the backing image. */
    async blockRebase(
      domain: DomainRef,
      disk: string,
      base: string,
      options?: Bandwidth & Flags<typeof rebaseFlags> & CallOptions,
    ): Promise<void> {
      const { bandwidthBytesPerSecond: bandwidth = 0 } = options ?? {};
      const flags = flagBits(rebaseFlags, options) | bytes.pull;
      await session.call(calls.domainBlockRebase, { domain, disk, base, bandwidth, flags }, options);
    },

    /** Mirrors a disk to the one in `destinationXml` (`<disk>`); when ready, end with `blockJobAbort`, `pivot` or not. */
    async blockCopy(
      domain: DomainRef,
      disk: string,
      destinationXml: string,
      options?: { [K in keyof typeof copyFields]?: number } & Flags<typeof copyFlags> & CallOptions,
    ): Promise<void> {
      const parameters = typedParametersOf(copyFields, options ?? {});
      const args = { domain, disk, destinationXml, parameters, flags: flagBits(copyFlags, options) };
      await session.call(calls.domainBlockCopy, args, options);
    },

    /** Ends a job: `pivot` moves the domain to the result. `async` does not wait for the end. */
    async blockJobAbort(
      domain: DomainRef,
      disk: string,
      options?: Flags<typeof abortFlags> & CallOptions,
    ): Promise<void> {
      await session.call(calls.domainBlockJobAbort, { domain, disk, flags: flagBits(abortFlags, options) }, options);
    },

    /** The job on a disk, undefined when there is none. */
    async blockJobInfo(domain: DomainRef, disk: string, options?: CallOptions): Promise<BlockJob | undefined> {
      const job = await session.call(calls.domainGetBlockJobInfo, { domain, disk, flags: bytes.jobInfo }, options);
      if (!job.found) return undefined;
      const { type, bandwidth, current, end } = job;
      return { type: nameOf(jobTypes, type) as BlockJob['type'], bandwidthBytesPerSecond: bandwidth, current, end };
    },

    async setBlockJobSpeed(
      domain: DomainRef,
      disk: string,
      bandwidthBytesPerSecond: number,
      options?: CallOptions,
    ): Promise<void> {
      const args = { domain, disk, bandwidth: bandwidthBytesPerSecond, flags: bytes.jobSpeed };
      await session.call(calls.domainBlockJobSetSpeed, args, options);
    },

    /** Asks for one `block-threshold` event when writing passes `thresholdBytes`. */
    async setBlockThreshold(
      domain: DomainRef,
      device: string,
      thresholdBytes: number,
      options?: CallOptions,
    ): Promise<void> {
      await session.call(calls.domainSetBlockThreshold, { domain, device, thresholdBytes, flags: 0 }, options);
    },

    /** Starts a backup, pushed to files or pulled over NBD as the XML says, with a checkpoint if given. */
    async backupBegin(
      domain: DomainRef,
      backupXml: string,
      options?: { checkpointXml?: string } & Flags<typeof backupFlags> & CallOptions,
    ): Promise<void> {
      const { checkpointXml = null } = options ?? {};
      const args = { domain, backupXml, checkpointXml, flags: flagBits(backupFlags, options) };
      await session.call(calls.domainBackupBegin, args, options);
    },

    /** The running backup. @throws LibvirtError `NO_DOMAIN_BACKUP` */
    async backupXml(domain: DomainRef, options?: CallOptions): Promise<string> {
      return (await session.call(calls.domainBackupGetXmlDesc, { domain, flags: 0 }, options)).xml;
    },

    /** The domain's job (migration, save, backup), with libvirt's statistics of it. */
    async jobStats(
      domain: DomainRef,
      options?: { completed?: boolean } & CallOptions,
    ): Promise<{ type: (typeof domainJobTypes)[number] | 'unknown'; parameters: ParameterRecord }> {
      const args = { domain, flags: options?.completed ? 1 : 0 };
      const { type, parameters } = await session.call(calls.domainGetJobStats, args, options);
      return { type: nameOf(domainJobTypes, type), parameters: parameterRecord(parameters) };
    },

    async abortJob(domain: DomainRef, options?: CallOptions): Promise<void> {
      await session.call(calls.domainAbortJob, { domain }, options);
    },
  };
}
