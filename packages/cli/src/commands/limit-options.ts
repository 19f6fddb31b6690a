// Limits of disks and network interfaces as options, read into what the cloud is asked for, and told to people.
import type { DiskLimits, NicLimits } from '@virga/contract/agent/desired';
import { VirgaError } from '@virga/contract/errors';
import type { FlagOption, IntegerOption, TextOption } from '../command.ts';
import { readRate } from '../rate.ts';

const iops = (summary: string) =>
  ({ type: 'integer', value: 'N', summary, minimum: 1, maximum: 1_000_000_000 }) as const satisfies IntegerOption;
const rate = (summary: string) => ({ type: 'text', value: 'RATE', summary }) as const satisfies TextOption;

export const diskLimitOptions = {
  iops: iops('operations a second'),
  bps: rate('bytes a second, such as 10M'),
  burstIops: iops('operations a second in a burst'),
  burstBps: rate('bytes a second in a burst'),
  burstSeconds: {
    type: 'integer',
    value: 'N',
    summary: 'how long a burst may last; default 1',
    minimum: 1,
    maximum: 3600,
  },
} as const;

export const nicLimitOptions = {
  in: rate('bytes a second that the guest receives, such as 10M'),
  out: rate('bytes a second that the guest sends'),
  burst: { type: 'text', value: 'BYTES', summary: 'may pass at once at any rate, such as 64Ki' },
} as const;

export const noneOption = { type: 'flag', summary: 'take all limits away' } as const satisfies FlagOption;

type DiskOptions = {
  iops?: number | undefined;
  bps?: string | undefined;
  burstIops?: number | undefined;
  burstBps?: string | undefined;
  burstSeconds?: number | undefined;
};

/** @throws InvalidArgument a rate that cannot be read */
export function readDiskLimits(options: DiskOptions): DiskLimits {
  const { iops: operations, bps, burstIops, burstBps, burstSeconds } = options;
  return {
    ...(operations !== undefined && { iops: operations }),
    ...(bps !== undefined && { bytesPerSecond: readRate('--bps', bps) }),
    ...(burstIops !== undefined && { burstIops }),
    ...(burstBps !== undefined && { burstBytesPerSecond: readRate('--burst-bps', burstBps) }),
    ...(burstSeconds !== undefined && { burstSeconds }),
  };
}

type NicOptions = { in?: string | undefined; out?: string | undefined; burst?: string | undefined };

/** @throws InvalidArgument a rate that cannot be read */
export function readNicLimits(options: NicOptions): NicLimits {
  return {
    ...(options.in !== undefined && { inboundBytesPerSecond: readRate('--in', options.in) }),
    ...(options.out !== undefined && { outboundBytesPerSecond: readRate('--out', options.out) }),
    ...(options.burst !== undefined && { burstBytes: readRate('--burst', options.burst) }),
  };
}

/** @throws InvalidArgument neither limits nor --none, or both */
export function requireOne(limits: DiskLimits | NicLimits, none: boolean): void {
  if (none === (Object.keys(limits).length === 0)) return;
  throw new VirgaError('InvalidArgument', {
    detail: none ? '--none takes all limits away, and limits were given too.' : 'No limit was given.',
    action: 'Give limits, which replace those that there are, or --none.',
  });
}

export function describeDiskLimits(limits: DiskLimits | null): string | null {
  if (limits === null) return null;
  const { iops: operations, bytesPerSecond, burstIops, burstBytesPerSecond, burstSeconds = 1 } = limits;
  const bursts = [burstIops && `${burstIops} IOPS`, burstBytesPerSecond && `${burstBytesPerSecond} bytes/s`];
  const burst = bursts.filter(Boolean).join(' and ');
  return [
    operations && `${operations} IOPS`,
    bytesPerSecond && `${bytesPerSecond} bytes/s`,
    burst && `bursts of ${burst} for ${burstSeconds} s`,
  ]
    .filter(Boolean)
    .join(', ');
}

export function describeNicLimits(limits: NicLimits | null): string | null {
  if (limits === null) return null;
  const { inboundBytesPerSecond, outboundBytesPerSecond, burstBytes } = limits;
  return [
    inboundBytesPerSecond && `in ${inboundBytesPerSecond} bytes/s`,
    outboundBytesPerSecond && `out ${outboundBytesPerSecond} bytes/s`,
    burstBytes && `bursts of ${burstBytes} bytes`,
  ]
    .filter(Boolean)
    .join(', ');
}
