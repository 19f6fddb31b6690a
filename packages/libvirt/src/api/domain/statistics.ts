// Statistics of many domains in one call. Owns the names of the groups. Fails with LibvirtError.
import type { CallOptions } from '../../connection/call-table.ts';
import type { Session } from '../../connection/session.ts';
import * as calls from '../../protocol/domain/lifecycle-calls.ts';
import type { DomainRef } from '../../protocol/objects.ts';
import { type ParameterRecord, parameterRecord } from '../../protocol/typed-parameters.ts';
import { type Flags, flagBits } from '../flags.ts';

const groupBits = {
  state: 1,
  cpu: 2,
  balloon: 4,
  vcpu: 8,
  interface: 16,
  block: 32,
  perf: 64,
  iothread: 128,
  memory: 256,
  dirtyRate: 512,
  vm: 1024,
} as const;
const filterFlags = {
  active: 1,
  inactive: 2,
  persistent: 4,
  transient: 8,
  running: 16,
  paused: 32,
  off: 64,
  otherState: 128,
  noWait: 0x2000_0000,
  backingChain: 0x4000_0000,
  enforceGroups: 0x8000_0000,
} as const;

export type StatisticsGroup = keyof typeof groupBits;

export interface DomainStatistics {
  domain: DomainRef;
  /** By libvirt's names, e.g. `cpu.time` (bigint, ns), `balloon.current` (bigint, KiB), `vcpu.current` (number). */
  parameters: ParameterRecord;
}

export interface StatisticsOptions extends Flags<typeof filterFlags>, CallOptions {
  /** What to measure; default everything libvirt can. */
  groups?: readonly StatisticsGroup[] | undefined;
  /** Only these domains; default all that the filter lets through. */
  domains?: readonly DomainRef[] | undefined;
}

export function domainStatistics(session: Session) {
  return {
    /**
     * Measures many domains at once. `noWait` gives less about a domain that is busy instead of waiting for it;
     * `enforceGroups` fails when libvirt does not know a group.
     * @see libvirt virConnectGetAllDomainStats
     */
    async stats(options?: StatisticsOptions): Promise<DomainStatistics[]> {
      const stats = options?.groups?.reduce((bits, group) => bits | groupBits[group], 0) ?? 0;
      const args = { domains: options?.domains ?? [], stats, flags: flagBits(filterFlags, options) };
      const { records } = await session.call(calls.connectGetAllDomainStats, args, options);
      return records.map(({ domain, parameters }) => ({ domain, parameters: parameterRecord(parameters) }));
    },
  };
}
