// What callers may see of an instance on its host: live XML, console log, console. Reads only; asks the host each time.
import type { Duplex } from 'node:stream';
import type { InstanceId } from '@virga/contract/ids';
import type { ProjectAccess } from '../../access/authorizer.ts';
import type { Deps } from '../../deps.ts';
import { requireInstance } from './instance-operations.ts';

/** @throws NotFound there is no instance, or no domain of it yet @throws HostUnavailable */
export async function instanceXml(deps: Deps, access: ProjectAccess, id: InstanceId): Promise<{ xml: string }> {
  const { host_id } = await requireInstance(deps.db, access, id);
  return { xml: await deps.agents.agentOf(host_id).domainXml(id) };
}

/** The end of what the guest printed on its serial console. Bytes that are no UTF-8 show as replacement characters. */
export async function consoleLog(
  deps: Deps,
  access: ProjectAccess,
  id: InstanceId,
  tailBytes: number,
): Promise<{ text: string; truncated: boolean }> {
  const { host_id } = await requireInstance(deps.db, access, id);
  const { bytes, truncated } = await deps.agents.agentOf(host_id).consoleLog(id, tailBytes);
  return { text: bytes.toString(), truncated };
}

/** The serial console, raw bytes both ways. @throws Conflict the instance does not run @throws HostUnavailable */
export async function openConsole(deps: Deps, access: ProjectAccess<'operator'>, id: InstanceId): Promise<Duplex> {
  const { host_id } = await requireInstance(deps.db, access, id);
  return deps.agents.agentOf(host_id).openConsole(id);
}
