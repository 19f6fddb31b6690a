// Power of a domain that is defined: start, pause, reboot, hibernate, stop by the guest's own hand, cut off. Each act is one
// step and may be repeated. Waits for no guest.
import type { DesiredInstance } from '@virga/contract/agent/desired';
import type { AgentContext } from '../agent-context.ts';
import { isLibvirtError, tolerate } from '../hypervisor-errors.ts';
import type { OwnDomain } from './domain-lookup.ts';
import { domainNamespace, domainPrefix, metadataElement, recordOf } from './domain-metadata.ts';
import { observedState } from './observed-state.ts';
import { isPaused, resume, suspend } from './pausing.ts';
import { dueReboot, reboot } from './reboot.ts';
import { discardSavedMemory, hibernate, requireSavedMemory } from './saved-memory.ts';

type Ref = OwnDomain['ref'];
/** The guest agent of a small image may have no program for it; every guest knows the button. */
const byButton = { mode: 'acpi' } as const;

export const isOff = (domain: OwnDomain): boolean => observedState(domain.state).state === 'stopped';

/** True when a guest that is off is to be on. */
export const isToBeOn = ({ power }: DesiredInstance): boolean => power.state === 'running' || power.state === 'paused';

/**
 * Starts a domain, or lets it go on from its saved memory; standing still when that is desired.
 * @throws SavedMemoryUnusable
 */
export async function start(
  context: AgentContext,
  desired: DesiredInstance,
  ref: Ref,
  { hasSavedMemory }: Pick<OwnDomain, 'hasSavedMemory'> = { hasSavedMemory: false },
): Promise<void> {
  if (hasSavedMemory) await requireSavedMemory(context, desired, ref);
  await context.hook('start', desired.id);
  context.shutdowns.forget(desired.id);
  await context.hypervisor.act(`start ${desired.domainName}`, async ({ domains }) => {
    try {
      // Of what was woken standing still, libvirt would not say that it does.
      await domains.create(ref, { paused: desired.power.state === 'paused' && !hasSavedMemory });
    } catch (error) {
      // Somebody was faster.
      if (!isLibvirtError(error, 'OPERATION_INVALID') || !(await domains.isActive(ref))) throw error;
    }
  });
  if (!hasSavedMemory) return;
  // What goes on from saved memory says of itself what it said when it was saved, and may have stood still then.
  if (desired.power.state === 'paused') await suspend(context, desired, ref);
  else {
    await context.hypervisor.act(`let ${ref.name} go on`, ({ domains }) =>
      tolerate(domains.resume(ref), 'OPERATION_INVALID'),
    );
  }
  await writeRecord(context, desired, ref, desired.reboot?.token ?? null);
}

/**
 * Does what power asks of a domain that is off and stays so: only who would cut a guest off gives saved memory up.
 * @returns the domain as it is then
 */
export async function convergeOff(
  context: AgentContext,
  desired: DesiredInstance,
  domain: OwnDomain,
): Promise<OwnDomain> {
  const { power } = desired;
  if (power.state !== 'stopped' || !domain.hasSavedMemory) return domain;
  if (context.clock.now() < Date.parse(power.forceAt)) return domain;
  await discardSavedMemory(context, desired, domain.ref);
  return { ...domain, hasSavedMemory: false };
}

/** What became of a domain: `cut-off` when it is off now and may be wanted on, or may be defined anew. */
export type PowerOutcome = 'done' | 'cut-off';

/**
 * Does what power asks of a domain that is on.
 * @throws StorageFull there is no room for its memory | GuestUnavailable the agent that was to reboot it does not answer
 */
export async function convergePower(
  context: AgentContext,
  desired: DesiredInstance,
  domain: OwnDomain,
): Promise<PowerOutcome> {
  const { power } = desired;
  if (power.state === 'stopped') return stop(context, desired, domain, Date.parse(power.forceAt));
  if (power.state === 'hibernated') {
    await hibernate(context, desired, domain.ref);
    return 'done';
  }
  const due = dueReboot(desired, domain);
  if (due?.how === 'cycle') return stop(context, desired, domain, due.forceAt ? Date.parse(due.forceAt) : 0);
  context.shutdowns.withdraw(desired.id, context.clock.now());
  const wasPaused = isPaused(domain);
  if (power.state === 'paused') {
    if (!wasPaused) await suspend(context, desired, domain.ref);
    return 'done';
  }
  if (wasPaused && !(await resume(context, desired, domain))) return 'done';
  if (due === undefined || (!wasPaused && observedState(domain.state).state !== 'running')) return 'done';
  await reboot(context, desired, domain.ref, due.how);
  await writeRecord(context, desired, domain.ref, due.token);
  return 'done';
}

async function stop(
  context: AgentContext,
  desired: DesiredInstance,
  domain: OwnDomain,
  forceAtMs: number,
): Promise<PowerOutcome> {
  const { ref } = domain;
  const nowMs = context.clock.now();
  if (nowMs >= forceAtMs) {
    await context.hook('force-off', desired.id);
    await cutOff(context, desired.domainName, ref);
    return 'cut-off';
  }
  // One that stands still cannot hear the button.
  if (isPaused(domain)) await resume(context, desired, domain);
  if (context.shutdowns.isDue(desired.id, nowMs)) {
    await context.hook('shutdown', desired.id);
    await context.hypervisor.act(`shut down ${desired.domainName}`, ({ domains }) =>
      tolerate(domains.shutdown(ref, byButton), 'OPERATION_INVALID'),
    );
    context.shutdowns.remember(desired.id, nowMs, forceAtMs);
  }
  return 'done';
}

/** Pulls the plug. A domain that is off or gone is no error. */
export async function cutOff(context: AgentContext, name: string, ref: Ref): Promise<void> {
  await context.hypervisor.act(`cut off ${name}`, ({ domains }) =>
    tolerate(domains.destroy(ref), 'OPERATION_INVALID', 'NO_DOMAIN'),
  );
}

/** Writes what was applied into the running domain; its definition has it from the XML. */
export async function writeRecord(
  context: AgentContext,
  desired: DesiredInstance,
  ref: Ref,
  rebootToken: string | null,
): Promise<void> {
  const xml = metadataElement(recordOf(desired, rebootToken));
  await context.hook('metadata', desired.id);
  await context.hypervisor.act(`describe ${desired.domainName}`, async ({ domains }) => {
    const write = async (where: { live: boolean; config: boolean }) => {
      if (desired.origin === 'launched') {
        await domains.setLabel(ref, 'title', desired.name, where);
        await domains.setLabel(ref, 'description', desired.description || null, where);
      }
      // Last, because it says that this generation was applied.
      await domains.setMetadata(ref, { uri: domainNamespace, key: domainPrefix, xml }, where);
    };
    try {
      await write({ live: true, config: true });
    } catch (error) {
      // It may have gone off meanwhile.
      if (!isLibvirtError(error, 'OPERATION_INVALID') || (await domains.isActive(ref))) throw error;
      await write({ live: false, config: true });
    }
  });
}
