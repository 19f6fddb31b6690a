// Reboots a guest in the way that was asked for, once for each request. Owns what each way means, but the power cycle,
// which is a stop and a start. Waits for no guest.
import type { DesiredInstance, DesiredReboot } from '@virga/contract/agent/desired';
import { VirgaError } from '@virga/contract/errors';
import type { AgentContext } from '../agent-context.ts';
import { isLibvirtError } from '../hypervisor-errors.ts';
import type { OwnDomain } from './domain-lookup.ts';

/** The reboot that is still to be done. */
export const dueReboot = ({ reboot }: DesiredInstance, { record }: Pick<OwnDomain, 'record'>) =>
  reboot === null || reboot.token === record.rebootToken ? undefined : reboot;

/** @throws GuestUnavailable it was to be done by the guest agent, and none answers */
export async function reboot(
  context: AgentContext,
  desired: DesiredInstance,
  ref: OwnDomain['ref'],
  how: Exclude<DesiredReboot['how'], 'cycle'>,
): Promise<void> {
  await context.hook(how === 'reset' ? 'reset' : 'reboot', desired.id);
  await context.hypervisor.act(`reboot ${ref.name}`, async ({ domains }) => {
    if (how === 'reset') return domains.reset(ref);
    try {
      await domains.reboot(ref, { mode: how });
    } catch (error) {
      throw how === 'agent' && isSilence(error) ? noAgent(desired, error) : error;
    }
  });
}

/** No agent is there, it does not answer, or libvirt has no way to it. */
const isSilence = (error: unknown): boolean =>
  isLibvirtError(error, 'AGENT_UNRESPONSIVE', 'AGENT_UNSYNCED', 'OPERATION_TIMEOUT') ||
  isLibvirtError(error, 'ARGUMENT_UNSUPPORTED', 'OPERATION_UNSUPPORTED', 'CONFIG_UNSUPPORTED');

const noAgent = ({ name }: DesiredInstance, cause: unknown) =>
  new VirgaError('GuestUnavailable', {
    detail: `No guest agent answers in ${name}.`,
    action: 'Reboot it by ACPI, or install qemu-guest-agent in the guest.',
    cause,
  });
