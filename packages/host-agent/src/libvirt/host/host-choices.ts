// What this host decides about every guest's domain. Looked at when a domain is defined; owns nothing.
import { access } from 'node:fs/promises';
import type { AgentContext } from '../agent-context.ts';
import type { HostChoices } from '../instances/domain-host.ts';
import { hostArchitecture } from './architecture.ts';

export async function hostChoices({ accelerator, directIo }: AgentContext): Promise<HostChoices> {
  const [{ mode }, vhostNet] = await Promise.all([accelerator.acceleration(), exists('/dev/vhost-net')]);
  return { arch: hostArchitecture(), acceleration: mode, vhostNet, directIo };
}

const exists = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  );
