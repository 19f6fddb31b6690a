// Checks of hosts and their repairs. Nothing of it is kept in the database: a host is looked at when somebody asks, and has
// the record of its own changes. What is changed is written down as an event before it is done.
import type { HostAgent } from '@virga/contract/agent/agent';
import type { HostCheckReport } from '@virga/contract/agent/host-checks';
import type { HostId } from '@virga/contract/ids';
import type { HostRepaired } from '@virga/contract/rest/host-checks';
import type { CloudAccess } from '../../access/authorizer.ts';
import type { Deps } from '../../deps.ts';
import { appendEvent } from '../../events/event-log.ts';
import { inTransaction } from '../../store/database.ts';
import { getHost } from './host-operations.ts';

type Query = { names?: string | undefined };

const namesOf = ({ names }: Query): string[] | undefined => names?.split(',');

/** @throws NotFound | HostUnavailable | InvalidArgument there is no such check */
export async function checkHost(
  deps: Deps,
  access: CloudAccess,
  id: HostId,
  query: Query,
  signal?: AbortSignal,
): Promise<HostCheckReport> {
  await getHost(deps.db, access, id);
  return deps.agents.agentOf(id).checkHost(namesOf(query), { signal });
}

/** @throws NotFound | HostUnavailable | InvalidArgument | HostSettingRefused nothing was changed */
export function repairHost(
  deps: Deps,
  access: CloudAccess<'admin'>,
  id: HostId,
  names: readonly string[],
): Promise<HostRepaired> {
  const told = { begins: 'host.repairing', ends: 'host.repaired', what: `is repaired of ${names.join(', ')}` };
  return changeHost(deps, access, id, { ...told, names, change: (agent) => agent.repairHost(names) });
}

/** @throws NotFound | HostUnavailable | InvalidArgument */
export function undoHostRepairs(
  deps: Deps,
  access: CloudAccess<'admin'>,
  id: HostId,
  query: Query,
): Promise<HostRepaired> {
  const names = namesOf(query);
  const what = names ? `loses its repairs of ${names.join(', ')}` : 'loses all its repairs';
  const told = { begins: 'host.repairs-undoing', ends: 'host.repairs-undone', what };
  return changeHost(deps, access, id, { ...told, names, change: (agent) => agent.undoRepairs(names) });
}

type HostWork = {
  /** Types of the events before and after. */
  begins: string;
  ends: string;
  what: string;
  names: readonly string[] | undefined;
  change: (agent: HostAgent) => Promise<HostRepaired['changes']>;
};

async function changeHost(
  deps: Deps,
  access: CloudAccess<'admin'>,
  id: HostId,
  { begins, ends, what, names, change }: HostWork,
): Promise<HostRepaired> {
  const { name } = await getHost(deps.db, access, id);
  const agent = deps.agents.agentOf(id);
  // What it names must be there before it is told of.
  if (names !== undefined) await agent.checkHost(names);
  const tell = (event: { type: string; message: string; data: Record<string, unknown> }) =>
    inTransaction(deps.db, (tx) =>
      appendEvent(tx, access, { projectId: null, resourceId: id, resourceName: name, ...event }),
    );
  await tell({ type: begins, message: `Host ${name} ${what}.`, data: { checks: names ?? [] } });
  const changes = await change(agent);
  await tell({ type: ends, message: `On host ${name} ${changes.length} settings were changed.`, data: { changes } });
  return { changes, report: await agent.checkHost() };
}
