// What callers may see of an instance on its host: live XML, console log, console. Asks the host each time.
import type { Duplex } from 'node:stream';
import type { InstanceId } from '@virga/contract/ids';
import type { ConsoleKind } from '@virga/contract/rest/instance-consoles';
import type { ProjectAccess } from '../../access/authorizer.ts';
import type { Deps } from '../../deps.ts';
import { appendEvent } from '../../events/event-log.ts';
import { inTransaction } from '../../store/database.ts';
import { requireInstance } from './instance-operations.ts';
import { about } from './instance-outcome.ts';

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

/**
 * The serial console, raw bytes both ways, or the screen by VNC's protocol. That it was opened is told in an event.
 * @throws Conflict the instance does not run, or has no screen @throws HostUnavailable
 */
export async function openConsole(
  deps: Deps,
  access: ProjectAccess<'operator'>,
  id: InstanceId,
  kind: ConsoleKind,
): Promise<Duplex> {
  const row = await requireInstance(deps.db, access, id);
  const agent = deps.agents.agentOf(row.host_id);
  const stream = await (kind === 'serial' ? agent.openConsole(id) : agent.openDisplay(id));
  try {
    await inTransaction(deps.db, (tx) =>
      appendEvent(tx, access, {
        ...about(row, 'instance.console-opened'),
        message: `The ${kind === 'serial' ? 'serial console' : 'screen'} of instance ${row.name} was opened.`,
        data: { kind },
      }),
    );
    return stream;
  } catch (error) {
    stream.destroy();
    throw error;
  }
}

/** A picture of the screen. @throws Conflict the instance does not run, or has no screen @throws HostUnavailable */
export async function screenshot(
  deps: Deps,
  access: ProjectAccess,
  id: InstanceId,
  signal?: AbortSignal,
): Promise<{ mediaType: 'image/png'; data: string }> {
  const { host_id } = await requireInstance(deps.db, access, id);
  const { mediaType, bytes } = await deps.agents.agentOf(host_id).screenshot(id, { signal });
  return { mediaType, data: bytes.toString('base64') };
}
