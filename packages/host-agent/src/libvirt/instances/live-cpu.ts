// How the vCPUs of a guest that is on run: its threads are moved to where they may be, and weight and cap are set, without a
// restart. Only what differs is done. Nothing is written into the definition, which is made anew when it is next started.
import { isDeepStrictEqual } from 'node:util';
import { formatCpuList } from '@virga/contract/agent/cpu-list';
import type { DesiredCpuPools } from '@virga/contract/agent/cpu-map';
import type { DesiredInstance } from '@virga/contract/agent/desired';
import type { Connection } from '@virga/libvirt/connection/connect';
import type { DomainRef } from '@virga/libvirt/protocol/objects';
import { kindOf, pidOf, threadPlaces } from '../../guest-threads/guest-threads.ts';
import { hasNodeMemory, memoryStays, pendingMemoryNotes } from '../../pending-memory.ts';
import type { AgentContext } from '../agent-context.ts';
import { type HostCpuChoices, isSame, isUndivided, type Pins, pinsOf } from '../host/cpu-division.ts';
import { weightOf } from '../host/cpu-weights.ts';
import { hostCpuChoices } from '../host/host-cpu-choices.ts';
import { isLibvirtError } from '../hypervisor-errors.ts';
import { childAt, parseXml } from '../xml.ts';
import { capPeriodUs, capQuotaUs } from './cpu-xml.ts';
import type { OwnDomain } from './domain-lookup.ts';
import { dueReboot } from './reboot.ts';

const live = { live: true } as const;

/** @returns what takes effect only at the next start, each one sentence */
export async function convergeCpu(
  context: AgentContext,
  desired: DesiredInstance,
  domain: OwnDomain,
): Promise<string[]> {
  const before = domain.record.desired;
  // It is about to be started anew.
  if (dueReboot(desired, domain)?.how === 'cycle') return [];
  const choices = await hostCpuChoices(context);
  const { node, shares, capPercent } = desired.cpu;
  // A copy has the threads, and the weight, of what it is a copy of.
  const isOwn = desired.warm === undefined || (node ?? shares ?? capPercent) === null;
  if (isOwn && isUndivided(choices.division.pools) && isDeepStrictEqual(before.cpu, desired.cpu)) return [];
  await pinGuest(context, desired, domain.ref, choices);
  await weighGuest(context, desired, domain.ref, choices);
  return moveMemory(context, desired, before, domain.ref);
}

/**
 * The CPUs may have been divided anew since its definition was written: who did that has moved the guests that were on, and
 * this one was not yet.
 * @param before as they were divided before its definition was written; undefined: that is not known
 */
export async function placeStarted(
  context: AgentContext,
  desired: DesiredInstance,
  ref: DomainRef,
  before: DesiredCpuPools | undefined,
): Promise<void> {
  const { pools } = await context.cpuPools.read();
  if (!isDeepStrictEqual(pools, before)) await pinGuest(context, desired, ref, await hostCpuChoices(context));
}

/** What goes on from saved memory runs where it was saved, and those places may be somebody else's by now. */
export async function placeWoken(
  context: AgentContext,
  desired: DesiredInstance,
  domain: OwnDomain,
): Promise<string[]> {
  const choices = await hostCpuChoices(context);
  await pinGuest(context, desired, domain.ref, choices);
  await weighGuest(context, desired, domain.ref, choices);
  return moveMemory(context, desired, domain.record.desired, domain.ref);
}

/**
 * Moves the threads of a guest that are not where they may be.
 * @param anew also those that are where they should be for all that libvirt knows
 */
export async function pinGuest(
  context: AgentContext,
  desired: Pick<DesiredInstance, 'cpu' | 'maxVcpus'> & { id: string },
  ref: DomainRef,
  { division }: HostCpuChoices,
  { anew = false }: { anew?: boolean } = {},
): Promise<void> {
  const { hypervisor, hook } = context;
  const present = await hypervisor.ask(`look where ${ref.name} runs`, (connection) => readPins(connection, ref));
  const { online } = division.layout;
  // Those that are off are in no way of anybody.
  const isElsewhere = (seen: readonly number[], wanted: readonly number[]) =>
    anew ||
    !isSame(
      seen.filter((id) => online.includes(id)),
      wanted,
    );
  const wanted: Pins = pinsOf({ ...desired, maxVcpus: present.vcpus.length }, division);
  const vcpus = [...wanted.vcpus.entries()].filter(([vcpu, cpus]) => isElsewhere(present.vcpus[vcpu]!, cpus));
  const iothreads = present.iothreads.filter(({ allowedCpus }) => isElsewhere(allowedCpus, wanted.emulator));
  const movesEmulator = isElsewhere(present.emulator, wanted.emulator);
  if (vcpus.length === 0 && iothreads.length === 0 && !movesEmulator) return;
  await hook('pin', desired.id);
  await hypervisor.act(`move the threads of ${ref.name}`, async ({ domains }) => {
    // First what makes room for others, last what takes it.
    if (movesEmulator) await domains.pinEmulator(ref, wanted.emulator, live);
    for (const { id } of iothreads) await domains.pinIothread(ref, id, wanted.emulator, live);
    for (const [vcpu, cpus] of vcpus) await domains.pinVcpu(ref, vcpu, cpus, live);
  });
  await moveStragglers(context, ref, wanted);
}

/**
 * libvirt moves the first of QEMU's own threads, and leaves the others to the cgroup that it has put them in, where there is
 * one: that keeps them in, but does not let them out again.
 */
export async function moveStragglers({ system }: AgentContext, ref: DomainRef, { emulator }: Pins): Promise<void> {
  const pid = await pidOf(system, ref.name);
  const threads = pid === undefined ? [] : await threadPlaces(system, pid);
  for (const { tid, name, allowedCpus } of threads) {
    if (kindOf(name).kind !== 'emulator' || isSame(allowedCpus, emulator)) continue;
    try {
      await system.run('taskset', ['--cpu-list', '--pid', formatCpuList(emulator), String(tid)]);
    } catch (error) {
      // It has ended meanwhile.
      if (await system.exists(`/proc/${pid}/task/${tid}`)) throw error;
    }
  }
}

/** A domain that came with a definition of its own runs as that says; one that says nothing leaves others' CPUs too. */
export async function pinAdopted(context: AgentContext, desired: DesiredInstance, ref: DomainRef): Promise<void> {
  if (await saysItself(context, ref)) return;
  await pinGuest(context, desired, ref, await hostCpuChoices(context));
}

export async function saysItself({ hypervisor }: AgentContext, ref: DomainRef): Promise<boolean> {
  const xml = await hypervisor.ask(`read the definition of ${ref.name}`, ({ domains }) =>
    domains.xml(ref, { inactive: true }),
  );
  const definition = parseXml(xml);
  return (
    childAt(definition, 'vcpu')?.attributes.cpuset !== undefined ||
    childAt(definition, 'cputune', 'vcpupin') !== undefined ||
    childAt(definition, 'numatune') !== undefined
  );
}

async function readPins({ domains }: Connection, ref: DomainRef) {
  const [vcpus, emulator, iothreads] = await Promise.all([
    domains.vcpuPins(ref, live),
    domains.emulatorPin(ref, live),
    domains.iothreads(ref, live),
  ]);
  return { vcpus, emulator, iothreads };
}

/** What a guest weighs now, in libvirt's unit, and the cap of each vCPU in percent of a CPU. */
export async function readWeight(
  { hypervisor }: AgentContext,
  ref: DomainRef,
): Promise<{ weight: number; capPercent: number | null }> {
  const seen = await hypervisor.ask(`look at the weight of ${ref.name}`, ({ domains }) =>
    domains.getSchedulerParameters(ref, live),
  );
  const quota = seen.vcpu_quota === undefined ? -1n : BigInt(seen.vcpu_quota as bigint);
  const isUncapped = quota <= 0n || quota > 10n ** 12n;
  const capPercent = isUncapped ? null : Number((quota * 100n) / BigInt(seen.vcpu_period as bigint));
  return { weight: Number(seen.cpu_shares), capPercent };
}

export async function weighGuest(
  context: AgentContext,
  { id, cpu }: DesiredInstance,
  ref: DomainRef,
  { weights }: HostCpuChoices,
): Promise<void> {
  if (weights === undefined) return;
  const { hypervisor, hook } = context;
  const seen = await readWeight(context, ref);
  const cpuShares = weightOf(cpu.shares, weights);
  const isOtherWeight = seen.weight !== cpuShares;
  const isOtherCap = seen.capPercent !== cpu.capPercent;
  if (!isOtherWeight && !isOtherCap) return;
  await hook('weigh', id);
  await hypervisor.act(`weigh ${ref.name}`, ({ domains }) =>
    domains.setSchedulerParameters(
      ref,
      {
        ...(isOtherWeight && { cpuShares }),
        ...(isOtherCap && {
          vcpuPeriodUs: capPeriodUs,
          vcpuQuotaUs: cpu.capPercent === null ? -1 : capQuotaUs(cpu.capPercent),
        }),
      },
      live,
    ),
  );
}

/** Memory that was bound to a node when the guest was started can follow it to another. */
async function moveMemory(
  { hypervisor, hook }: AgentContext,
  desired: DesiredInstance,
  before: DesiredInstance,
  ref: DomainRef,
): Promise<string[]> {
  const pending = pendingMemoryNotes(before, desired);
  if (pending.length > 0 || !hasNodeMemory(desired) || desired.cpu.node === before.cpu.node) return pending;
  await hook('move-memory', desired.id);
  return hypervisor.act(`move the memory of ${ref.name}`, async ({ domains }) => {
    try {
      await domains.setNumaParameters(ref, { nodeset: String(desired.cpu.node) }, live);
      return [];
    } catch (error) {
      if (isLibvirtError(error, 'OPERATION_INVALID', 'OPERATION_UNSUPPORTED', 'CONFIG_UNSUPPORTED'))
        return [memoryStays];
      throw error;
    }
  });
}
