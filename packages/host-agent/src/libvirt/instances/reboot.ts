// Reboots a guest in the way that was asked for, once for each request. Owns what each way means, but the power cycle,
// which is a stop and a start. Waits for no guest.
import type { DesiredInstance, DesiredReboot } from '@virga/contract/agent/desired';
import { VirgaError } from '@virga/contract/errors';
import type { AgentContext } from '../agent-context.ts';
import { isLibvirtError } from '../hypervisor-errors.ts';
import type { OwnDomain } from './domain-lookup.ts';

/** libvirt waits for a minute at most until a guest that its agent reboots has gone down. */
const agentTimeoutMs = 90_000;

/** The reboot that is still to be done. */
export const dueReboot = ({ reboot }: DesiredInstance, { record }: Pick<OwnDomain, 'record'>) =>
  reboot === null || reboot.token === record.rebootToken ? undefined : reboot;

/** @throws GuestUnavailable | GuestRefused it was to be done by the guest agent, and none answers, or it does not do it */
export async function reboot(
  context: AgentContext,
  desired: DesiredInstance,
  ref: OwnDomain['ref'],
  how: Exclude<DesiredReboot['how'], 'cycle'>,
): Promise<void> {
  await context.hook(how === 'reset' ? 'reset' : 'reboot', desired.id);
  await context.hypervisor.act(`reboot ${ref.name}`, async ({ domains }) => {
    if (how === 'reset') return domains.reset(ref);
    if (how === 'acpi') return domains.reboot(ref, { mode: how });
    try {
      await domains.reboot(ref, { mode: how, timeoutMs: agentTimeoutMs });
    } catch (error) {
      throw agentError(desired, error);
    }
  });
}

function agentError({ name }: DesiredInstance, error: unknown): unknown {
  // No agent is there, it does not answer, or libvirt has no way to it.
  const isSilence =
    isLibvirtError(error, 'AGENT_UNRESPONSIVE', 'AGENT_UNSYNCED', 'OPERATION_TIMEOUT') ||
    isLibvirtError(error, 'ARGUMENT_UNSUPPORTED', 'OPERATION_UNSUPPORTED', 'CONFIG_UNSUPPORTED');
  if (isSilence) {
    return new VirgaError('GuestUnavailable', {
      detail: `No guest agent answers in ${name}.`,
      action: 'Reboot it by ACPI, or install qemu-guest-agent in the guest.',
      cause: error,
    });
  }
  if (!isLibvirtError(error, 'INTERNAL_ERROR', 'OPERATION_FAILED')) return error;
  return new VirgaError('GuestRefused', {
    detail: `The guest agent of ${name} would not reboot it.`,
    action: 'Reboot it by ACPI, or see what the agent says in the guest: it needs a program called shutdown.',
    cause: error,
  });
}
