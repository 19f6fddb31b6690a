// Power of a domain that is defined: start, reboot, stop by the guest's own hand, cut off. Each act is one step and may be
// repeated. Waits for no guest.
import type { DesiredInstance } from '@virga/contract/agent/desired';
import type { AgentContext } from '../agent-context.ts';
import { isLibvirtError, tolerate } from '../hypervisor-errors.ts';
import type { OwnDomain } from './domain-lookup.ts';
import { domainNamespace, domainPrefix, metadataElement, recordOf } from './domain-metadata.ts';
import { observedState } from './observed-state.ts';

type Ref = OwnDomain['ref'];
/** The guest agent of a small image may have no program for it; every guest knows the button. */
const byButton = { mode: 'acpi' } as const;

export const isOff = (domain: OwnDomain): boolean => observedState(domain.state).state === 'stopped';

export async function start(context: AgentContext, desired: DesiredInstance, ref: Ref): Promise<void> {
  await context.hook('start', desired.id);
  context.shutdowns.forget(desired.id);
  await context.hypervisor.act(`start ${desired.domainName}`, async ({ domains }) => {
    try {
      await domains.create(ref);
    } catch (error) {
      // Somebody was faster.
      if (!isLibvirtError(error, 'OPERATION_INVALID') || !(await domains.isActive(ref))) throw error;
    }
  });
}

/** Does what power asks of a domain that is on. */
export async function convergePower(context: AgentContext, desired: DesiredInstance, domain: OwnDomain): Promise<void> {
  const { power, reboot } = desired;
  if (power.state === 'stopped') return stop(context, desired, domain.ref, Date.parse(power.forceAt));
  context.shutdowns.withdraw(desired.id, context.clock.now());
  if (reboot === null || reboot.token === domain.record.rebootToken) return;
  if (observedState(domain.state).state !== 'running') return;
  await context.hook('reboot', desired.id);
  await context.hypervisor.act(`reboot ${desired.domainName}`, async ({ domains }) => {
    await (reboot.how === 'reset' ? domains.reset(domain.ref) : domains.reboot(domain.ref, byButton));
  });
  await writeRecord(context, desired, domain.ref, reboot.token);
}

async function stop(context: AgentContext, desired: DesiredInstance, ref: Ref, forceAtMs: number): Promise<void> {
  const nowMs = context.clock.now();
  if (nowMs >= forceAtMs) {
    await context.hook('force-off', desired.id);
    await cutOff(context, desired.domainName, ref);
  } else if (context.shutdowns.isDue(desired.id, nowMs)) {
    await context.hook('shutdown', desired.id);
    await context.hypervisor.act(`shut down ${desired.domainName}`, ({ domains }) =>
      tolerate(domains.shutdown(ref, byButton), 'OPERATION_INVALID'),
    );
    context.shutdowns.remember(desired.id, nowMs, forceAtMs);
  }
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
  await context.hypervisor.act(`describe ${desired.domainName}`, ({ domains }) =>
    domains.setMetadata(ref, { uri: domainNamespace, key: domainPrefix, xml }, { live: true, config: true }),
  );
}
