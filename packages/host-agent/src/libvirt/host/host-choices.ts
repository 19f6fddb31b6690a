// What this host decides about every guest's domain. Looked at when a domain is defined; owns nothing.
import { exists } from '../../exists.ts';
import type { AgentContext } from '../agent-context.ts';
import type { HostChoices } from '../instances/domain-host.ts';
import { hostArchitecture } from './architecture.ts';
import { hostCpuChoices } from './host-cpu-choices.ts';

export async function hostChoices(context: AgentContext): Promise<HostChoices> {
  const { accelerator, directIo } = context;
  const [{ mode }, vhostNet, cpus] = await Promise.all([
    accelerator.acceleration(),
    exists('/dev/vhost-net'),
    hostCpuChoices(context),
  ]);
  return { arch: hostArchitecture(), acceleration: mode, vhostNet, directIo, cpus };
}
