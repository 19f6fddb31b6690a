// Gives a domain the name that is desired. libvirt renames only what is off and has no saved memory; anything else keeps its
// name until then.
import type { DesiredInstance } from '@virga/contract/agent/desired';
import type { UndoStack } from '../../undo-stack.ts';
import type { AgentContext } from '../agent-context.ts';
import type { OwnDomain } from './domain-lookup.ts';
import { isOff } from './power.ts';

export const isToBeRenamed = ({ domainName }: DesiredInstance, domain: OwnDomain): boolean =>
  domain.ref.name !== domainName && isOff(domain) && !domain.hasSavedMemory;

/** @returns the domain by the name that it has then */
export async function renameDomain(
  context: AgentContext,
  desired: DesiredInstance,
  domain: OwnDomain,
  undo: UndoStack,
): Promise<OwnDomain> {
  if (!isToBeRenamed(desired, domain)) return domain;
  const renamed = { ...domain.ref, name: desired.domainName };
  await context.hook('rename', desired.id);
  undo.add('name', () => rename(context, renamed, domain.ref.name));
  await rename(context, domain.ref, desired.domainName);
  return { ...domain, ref: renamed };
}

const rename = (context: AgentContext, ref: OwnDomain['ref'], name: string): Promise<void> =>
  context.hypervisor.act(`rename ${ref.name} to ${name}`, ({ domains }) => domains.rename(ref, name));
