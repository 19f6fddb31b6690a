// How the CPUs of a host are divided, and what runs on which of them. The division is desired state, given whole; what runs
// where is read from the host's kernel when it is asked for, and kept nowhere.
import { type Static, Type } from 'typebox';
import { Check } from 'typebox/value';
import { IdSchema, type InstanceId } from '../ids.ts';
import type { CallContext } from './call-context.ts';

const CpuNumbers = Type.Array(Type.Integer({ minimum: 0 }));

/** A CPU model that guests are given in place of that of the host, so that they could run on other hosts too. */
export const GuestCpuModel = Type.Object({
  name: Type.String({ description: 'as libvirt names it, such as EPYC' }),
  vendor: Type.Union([Type.String(), Type.Null()]),
  features: Type.Array(
    Type.Object({
      name: Type.String(),
      policy: Type.Union([Type.Literal('require'), Type.Literal('disable')]),
    }),
  ),
});
export type GuestCpuModel = Static<typeof GuestCpuModel>;

/**
 * What the CPUs of a host are for. Reserved ones are the host's own: QEMU's threads may run there, vCPUs never. Dedicated
 * ones belong to single instances, with the idle siblings that come with them. All others are shared; of those, CPUs that
 * the kernel keeps isolated are nobody's until they are dedicated.
 */
export const DesiredCpuPools = Type.Object({
  reserved: CpuNumbers,
  dedicated: CpuNumbers,
  /** Of guests that are started from now on; null: as the host's. */
  guestModel: Type.Union([GuestCpuModel, Type.Null()]),
});
export type DesiredCpuPools = Static<typeof DesiredCpuPools>;

/** As they were written down; undefined when they are not well-formed. */
export const readCpuPools = (value: unknown): DesiredCpuPools | undefined =>
  Check(DesiredCpuPools, value) ? value : undefined;

export const GuestThread = Type.Object({
  tid: Type.Integer(),
  name: Type.String({ description: 'as the kernel has it' }),
  kind: Type.Union([Type.Literal('vcpu'), Type.Literal('iothread'), Type.Literal('emulator')]),
  index: Type.Union([Type.Integer(), Type.Null()], { description: 'number of the vCPU or the I/O thread' }),
  allowedCpus: CpuNumbers,
  lastCpu: Type.Integer({ description: 'where it was last seen' }),
  busyPercent: Type.Number({ description: 'of one CPU, while it was looked at' }),
});
export type GuestThread = Static<typeof GuestThread>;

export const GuestThreads = Type.Object({
  instanceId: Type.Union([IdSchema('instance'), Type.Null()], { description: 'null: a domain of somebody else' }),
  domainName: Type.String(),
  pid: Type.Integer(),
  threads: Type.Array(GuestThread),
});
export type GuestThreads = Static<typeof GuestThreads>;

export const HostCpuMap = Type.Object({
  sampleMs: Type.Integer(),
  cpus: Type.Array(
    Type.Object({
      id: Type.Integer(),
      busyPercent: Type.Number({ description: 'by whatever runs on the host' }),
    }),
  ),
  guests: Type.Array(GuestThreads),
});
export type HostCpuMap = Static<typeof HostCpuMap>;

/** What somebody else had changed of how a guest runs. */
export type CpuDrift = {
  id: InstanceId;
  /** As people say it, such as: vCPU 0 could run on CPU 1 instead of 0-1. */
  changes: string[];
};

export interface CpuKeeping {
  /**
   * Divides the CPUs of the host. Guests that run, and share, leave those that are reserved or dedicated, without a restart;
   * guests that are started later keep to it. Idempotent.
   * @throws HostUnavailable
   */
  applyCpuPools(cloudId: string, pools: DesiredCpuPools, context?: CallContext): Promise<void>;
  /**
   * Sets right where the threads of guests that are on may run, and how their time is weighed and capped, when somebody else
   * has changed that. An instance whose overlay, or own definition, says something of that is left as it is.
   * @returns what was set right; nothing of an instance that was as it should be
   * @throws HostUnavailable
   */
  keepCpus(cloudId: string, context?: CallContext): Promise<CpuDrift[]>;
  /** Every guest thread and where it may run, looked at for `sampleMs`. @throws HostUnavailable */
  cpuMap(sampleMs: number, context?: CallContext): Promise<HostCpuMap>;
  /** The CPU that this host could give a guest, as libvirt describes it: XML `<cpu>`. @throws HostUnavailable */
  guestCpu(context?: CallContext): Promise<string>;
  /**
   * The most capable CPU model that hosts with these CPUs can all give their guests, as libvirt computes it.
   * @throws HypervisorRefused there is none | HostUnavailable
   */
  baselineCpu(cpus: readonly string[], context?: CallContext): Promise<GuestCpuModel>;
  /** Whether this host can give its guests that model. @throws HostUnavailable */
  canGiveCpu(model: GuestCpuModel, context?: CallContext): Promise<boolean>;
}
