// Tuning parameters of a domain, each under a typed name. Owns the mapping to libvirt's names and types. A parameter left
// out stays as it is. Fails with LibvirtError (`INVALID_ARG` for a value that the host refuses).
import type { CallOptions } from '../../connection/call-table.ts';
import type { Session } from '../../connection/session.ts';
import * as blockCalls from '../../protocol/domain/block-calls.ts';
import * as deviceCalls from '../../protocol/domain/device-calls.ts';
import * as calls from '../../protocol/domain/resource-calls.ts';
import type { DomainRef } from '../../protocol/objects.ts';
import {
  type ParameterRecord,
  parameterRecord,
  type TypedParameter,
  typedParametersOf,
} from '../../protocol/typed-parameters.ts';
import { type Flags, flagBits } from '../flags.ts';
import { affectFlags } from './affect.ts';

type Affect = Flags<typeof affectFlags> & CallOptions;
type Settings<F extends Record<string, readonly [string, string]>> = {
  readonly [K in keyof F]?: (F[K][1] extends 'string' ? string : number | bigint) | undefined;
};

const memoryFields = {
  hardLimitKib: ['hard_limit', 'ullong'],
  softLimitKib: ['soft_limit', 'ullong'],
  minGuaranteeKib: ['min_guarantee', 'ullong'],
  swapHardLimitKib: ['swap_hard_limit', 'ullong'],
} as const;
const schedulerFields = {
  cpuShares: ['cpu_shares', 'ullong'],
  globalPeriodUs: ['global_period', 'ullong'],
  globalQuotaUs: ['global_quota', 'llong'],
  vcpuPeriodUs: ['vcpu_period', 'ullong'],
  vcpuQuotaUs: ['vcpu_quota', 'llong'],
  emulatorPeriodUs: ['emulator_period', 'ullong'],
  emulatorQuotaUs: ['emulator_quota', 'llong'],
  iothreadPeriodUs: ['iothread_period', 'ullong'],
  iothreadQuotaUs: ['iothread_quota', 'llong'],
} as const;
const blkioFields = {
  weight: ['weight', 'uint'],
  deviceWeights: ['device_weight', 'string'],
  deviceReadBytesPerSecond: ['device_read_bytes_sec', 'string'],
  deviceWriteBytesPerSecond: ['device_write_bytes_sec', 'string'],
  deviceReadIopsPerSecond: ['device_read_iops_sec', 'string'],
  deviceWriteIopsPerSecond: ['device_write_iops_sec', 'string'],
} as const;
const numaModes = { strict: 0, preferred: 1, interleave: 2, restrictive: 3 } as const;
const numaFields = { nodeset: ['numa_nodeset', 'string'], mode: ['numa_mode', 'int'] } as const;
const interfaceFields = {
  inboundAverageKibPerSecond: ['inbound.average', 'uint'],
  inboundPeakKibPerSecond: ['inbound.peak', 'uint'],
  inboundBurstKib: ['inbound.burst', 'uint'],
  inboundFloorKibPerSecond: ['inbound.floor', 'uint'],
  outboundAverageKibPerSecond: ['outbound.average', 'uint'],
  outboundPeakKibPerSecond: ['outbound.peak', 'uint'],
  outboundBurstKib: ['outbound.burst', 'uint'],
} as const;
const blockIoFields = {
  totalBytesPerSecond: ['total_bytes_sec', 'ullong'],
  readBytesPerSecond: ['read_bytes_sec', 'ullong'],
  writeBytesPerSecond: ['write_bytes_sec', 'ullong'],
  totalIopsPerSecond: ['total_iops_sec', 'ullong'],
  readIopsPerSecond: ['read_iops_sec', 'ullong'],
  writeIopsPerSecond: ['write_iops_sec', 'ullong'],
  totalBytesPerSecondMax: ['total_bytes_sec_max', 'ullong'],
  readBytesPerSecondMax: ['read_bytes_sec_max', 'ullong'],
  writeBytesPerSecondMax: ['write_bytes_sec_max', 'ullong'],
  totalIopsPerSecondMax: ['total_iops_sec_max', 'ullong'],
  readIopsPerSecondMax: ['read_iops_sec_max', 'ullong'],
  writeIopsPerSecondMax: ['write_iops_sec_max', 'ullong'],
  totalBytesPerSecondMaxSeconds: ['total_bytes_sec_max_length', 'ullong'],
  totalIopsPerSecondMaxSeconds: ['total_iops_sec_max_length', 'ullong'],
  iopsUnitBytes: ['size_iops_sec', 'ullong'],
  groupName: ['group_name', 'string'],
} as const;

export type MemorySettings = Settings<typeof memoryFields>;
export type SchedulerSettings = Settings<typeof schedulerFields>;
export type BlkioSettings = Settings<typeof blkioFields>;
export type NumaSettings = { nodeset?: string; mode?: keyof typeof numaModes };
export type InterfaceSettings = Settings<typeof interfaceFields>;
/** 0 takes a limit away. */
export type BlockIoSettings = Settings<typeof blockIoFields>;

/** Strings among the parameters are only sent to clients that say they can read them. */
const stringsOkay = 4;
const schedulerCount = 16;

/** libvirt wants to be asked for as many parameters as there are, and says how many when asked for none. */
async function readAll(
  ask: (count: number) => Promise<{ parameters: readonly TypedParameter[]; count: number }>,
): Promise<ParameterRecord> {
  const { count } = await ask(0);
  return count === 0 ? {} : parameterRecord((await ask(count)).parameters);
}

export function domainParameters(session: Session) {
  const flagsOf = (options?: Affect): number => flagBits(affectFlags, options);
  const readFlagsOf = (options?: Affect): number => flagsOf(options) | stringsOkay;

  return {
    async getMemoryParameters(domain: DomainRef, options?: Affect): Promise<ParameterRecord> {
      const flags = readFlagsOf(options);
      return readAll((count) => session.call(calls.domainGetMemoryParameters, { domain, count, flags }, options));
    },

    async setMemoryParameters(domain: DomainRef, settings: MemorySettings, options?: Affect): Promise<void> {
      const parameters = typedParametersOf(memoryFields, settings);
      await session.call(calls.domainSetMemoryParameters, { domain, parameters, flags: flagsOf(options) }, options);
    },

    async getSchedulerParameters(domain: DomainRef, options?: Affect): Promise<ParameterRecord> {
      const args = { domain, count: schedulerCount, flags: readFlagsOf(options) };
      return parameterRecord((await session.call(calls.domainGetSchedulerParametersFlags, args, options)).parameters);
    },

    async setSchedulerParameters(domain: DomainRef, settings: SchedulerSettings, options?: Affect): Promise<void> {
      const args = { domain, parameters: typedParametersOf(schedulerFields, settings), flags: flagsOf(options) };
      await session.call(calls.domainSetSchedulerParametersFlags, args, options);
    },

    async getBlkioParameters(domain: DomainRef, options?: Affect): Promise<ParameterRecord> {
      const flags = readFlagsOf(options);
      return readAll((count) => session.call(calls.domainGetBlkioParameters, { domain, count, flags }, options));
    },

    async setBlkioParameters(domain: DomainRef, settings: BlkioSettings, options?: Affect): Promise<void> {
      const parameters = typedParametersOf(blkioFields, settings);
      await session.call(calls.domainSetBlkioParameters, { domain, parameters, flags: flagsOf(options) }, options);
    },

    async getNumaParameters(domain: DomainRef, options?: Affect): Promise<ParameterRecord> {
      const flags = readFlagsOf(options);
      return readAll((count) => session.call(calls.domainGetNumaParameters, { domain, count, flags }, options));
    },

    async setNumaParameters(domain: DomainRef, settings: NumaSettings, options?: Affect): Promise<void> {
      const mode = settings.mode === undefined ? undefined : numaModes[settings.mode];
      const parameters = typedParametersOf(numaFields, { nodeset: settings.nodeset, mode });
      await session.call(calls.domainSetNumaParameters, { domain, parameters, flags: flagsOf(options) }, options);
    },

    /** @param device the card's target name (`vnet0`) or MAC address */
    async getInterfaceParameters(domain: DomainRef, device: string, options?: Affect): Promise<ParameterRecord> {
      const flags = readFlagsOf(options);
      return readAll((count) =>
        session.call(deviceCalls.domainGetInterfaceParameters, { domain, device, count, flags }, options),
      );
    },

    async setInterfaceParameters(
      domain: DomainRef,
      device: string,
      settings: InterfaceSettings,
      options?: Affect,
    ): Promise<void> {
      const parameters = typedParametersOf(interfaceFields, settings);
      const args = { domain, device, parameters, flags: flagsOf(options) };
      await session.call(deviceCalls.domainSetInterfaceParameters, args, options);
    },

    /** @param disk target name (`vda`) or path */
    async getBlockIoTune(domain: DomainRef, disk: string, options?: Affect): Promise<ParameterRecord> {
      const flags = readFlagsOf(options);
      return readAll((count) => session.call(blockCalls.domainGetBlockIoTune, { domain, disk, count, flags }, options));
    },

    async setBlockIoTune(domain: DomainRef, disk: string, settings: BlockIoSettings, options?: Affect): Promise<void> {
      const args = { domain, disk, parameters: typedParametersOf(blockIoFields, settings), flags: flagsOf(options) };
      await session.call(blockCalls.domainSetBlockIoTune, args, options);
    },
  };
}
