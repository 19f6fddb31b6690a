// Finds guests that run elsewhere than they may, or are weighed or capped otherwise, and sets that right: what somebody did with
// `virsh vcpupin --live`, `schedinfo --live` or taskset makes no event. A look costs a read for each thread and two questions to
// libvirt for each guest. While the CPUs of the host are being divided anew nothing is looked at.
import { formatCpuList } from '@virga/contract/agent/cpu-list';
import type { CpuDrift } from '@virga/contract/agent/cpu-map';
import type { DesiredInstance } from '@virga/contract/agent/desired';
import { VirgaError } from '@virga/contract/errors';
import type { DomainRef } from '@virga/libvirt/protocol/objects';
import { kindOf, pidOf, threadPlaces } from '../../guest-threads/guest-threads.ts';
import type { AgentContext } from '../agent-context.ts';
import { lookAt, type OwnDomain, readRecord } from '../instances/domain-lookup.ts';
import { moveStragglers, pinGuest, readWeight, saysItself, weighGuest } from '../instances/live-cpu.ts';
import { isOff } from '../instances/power.ts';
import { type HostCpuChoices, isSame, isUndivided, pinsOf } from './cpu-division.ts';
import { weightOf } from './cpu-weights.ts';
import { hostCpuChoices } from './host-cpu-choices.ts';

type Astray = {
  changes: string[];
  isElsewhere: boolean;
  isWeighed: boolean;
  /** Threads that QEMU has made since, and that nobody has moved, where the ones are that made them. */
  hasStragglers: boolean;
};

export async function keepCpus(
  context: AgentContext,
  cloudId: string,
  signal: AbortSignal | undefined,
): Promise<CpuDrift[]> {
  const { cpuPools, hypervisor, locks } = context;
  return locks.run('cpu-pools', async () => {
    if (!(await cpuPools.read()).isSettled) return [];
    const refs = await hypervisor.ask('list the domains', ({ domains }) => domains.list({ active: true }));
    const choices = await hostCpuChoices(context);
    const found: CpuDrift[] = [];
    for (const ref of refs) {
      signal?.throwIfAborted();
      try {
        const drift = await keepGuest(context, cloudId, ref, choices);
        if (drift !== undefined) found.push(drift);
      } catch (error) {
        if (error instanceof VirgaError && error.code === 'HostUnavailable') throw error;
        // The others are looked at nevertheless, and this one again.
        context.log.warn({ err: error, domain: ref.name }, 'could not set right where a guest runs');
      }
    }
    return found;
  });
}

async function keepGuest(
  context: AgentContext,
  cloudId: string,
  ref: DomainRef,
  choices: HostCpuChoices,
): Promise<CpuDrift | undefined> {
  const { hypervisor, locks } = context;
  const read = () => hypervisor.ask('look at a domain', (connection) => readRecord(connection, ref));
  const look = () => hypervisor.ask('look at a domain', (connection) => lookAt(connection, ref.uuid));
  const record = await read();
  if (record?.cloudId !== cloudId) return undefined;
  const first = await findAstray(context, record.desired, ref, choices).catch(ofGone(look));
  if (first === undefined || isAsItShould(first)) return undefined;
  // We may be at it just now.
  return locks.run(record.instanceId, async () => {
    const domain = await look();
    if (domain?.record?.cloudId !== cloudId || !isSettled(domain as OwnDomain)) return undefined;
    const { desired } = domain.record;
    const astray = await findAstray(context, desired, domain.ref, choices).catch(ofGone(look));
    if (astray === undefined) return undefined;
    const repair = async () => {
      if (astray.isElsewhere) await pinGuest(context, desired, domain.ref, choices, { anew: true });
      else if (astray.hasStragglers) {
        await moveStragglers(context, domain.ref, pinsOf(desired, choices.division));
      }
      if (astray.isWeighed) await weighGuest(context, desired, domain.ref, choices);
      return astray.changes;
    };
    const changes = await repair().catch(ofGone(look));
    return changes === undefined || changes.length === 0 ? undefined : { id: record.instanceId, changes };
  });
}

const isAsItShould = ({ isElsewhere, isWeighed, hasStragglers }: Astray): boolean =>
  !isElsewhere && !isWeighed && !hasStragglers;

/** Of a guest that went off meanwhile there is nothing to be said; anything else is thrown. */
const ofGone =
  (look: () => Promise<unknown>) =>
  async (error: unknown): Promise<undefined> => {
    const now = await look();
    if (now !== undefined && !isOff(now as OwnDomain)) throw error;
  };

/** Not while it is started, or its memory is written: its threads are libvirt's then. */
function isSettled(domain: OwnDomain): boolean {
  const { state, reason } = domain.state;
  if (state === 'paused') return reason === 'user' || reason === 'io-error';
  return state === 'running' || state === 'blocked';
}

/** Undefined: it is not ours to say. */
async function findAstray(
  context: AgentContext,
  desired: DesiredInstance,
  ref: DomainRef,
  choices: HostCpuChoices,
): Promise<Astray | undefined> {
  const isAdopted = desired.origin === 'adopted';
  if (isAdopted && isUndivided(choices.division.pools)) return undefined;
  if (desired.overlay.some(isOfCpus) || (isAdopted && (await saysItself(context, ref)))) return undefined;
  const places = await findElsewhere(context, desired, ref, choices);
  // How an adopted domain is weighed is as it came.
  const weight = isAdopted ? [] : await findWeighed(context, desired, ref, choices);
  return {
    changes: [...places.changes, ...weight],
    isElsewhere: places.changes.length > 0,
    isWeighed: weight.length > 0,
    hasStragglers: places.hasStragglers,
  };
}

/** Somebody has it run as its own definition says. */
const isOfCpus = (change: DesiredInstance['overlay'][number]): boolean =>
  /^\/domain\/(cputune|vcpu|numatune)\b/.test(change.path) ||
  (change.op !== 'remove' && /^\s*<(cputune|vcpu|numatune)\b/.test(change.xml));

async function findElsewhere(
  { system }: AgentContext,
  desired: DesiredInstance,
  ref: DomainRef,
  { division }: HostCpuChoices,
): Promise<{ changes: string[]; hasStragglers: boolean }> {
  const pid = await pidOf(system, ref.name);
  const threads = pid === undefined ? [] : await threadPlaces(system, pid);
  const { online } = division.layout;
  const wanted = pinsOf(desired, division);
  const changes = new Set<string>();
  let hasStragglers = false;
  for (const { tid, name, allowedCpus } of threads) {
    const { kind, index } = kindOf(name);
    const places = kind === 'vcpu' ? wanted.vcpus[index!] : wanted.emulator;
    const seen = allowedCpus.filter((cpu) => online.includes(cpu));
    if (places === undefined || isSame(seen, places)) continue;
    if (kind === 'emulator' && tid !== pid) hasStragglers = true;
    else {
      const who = { vcpu: `vCPU ${index}`, iothread: `its I/O thread ${index}`, emulator: 'QEMU itself' }[kind];
      changes.add(`${who} could run on CPU ${formatCpuList(seen)} instead of ${formatCpuList([...places])}`);
    }
  }
  return { changes: [...changes], hasStragglers };
}

async function findWeighed(
  context: AgentContext,
  { cpu }: DesiredInstance,
  ref: DomainRef,
  { weights }: HostCpuChoices,
): Promise<string[]> {
  if (weights === undefined) return [];
  const { weight, capPercent } = await readWeight(context, ref);
  const wanted = weightOf(cpu.shares, weights);
  const shares = (value: number) => Math.round((value * 100) / weights.usual);
  const cap = (percent: number | null) => (percent === null ? 'not at all' : `at ${percent} %`);
  return [
    ...(weight === wanted ? [] : [`it had ${shares(weight)} shares instead of ${shares(wanted)}`]),
    ...(capPercent === cpu.capPercent ? [] : [`it was capped ${cap(capPercent)} instead of ${cap(cpu.capPercent)}`]),
  ];
}
