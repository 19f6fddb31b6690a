// Where the memory of a host is, told of the whole host, of each project and of each instance: the figures of its agent, with
// the names that the database has. Keeps nothing.
import type { GuestMemory, HostMemory, KsmState } from '@virga/contract/agent/host-memory';
import type { HostId, ProjectId } from '@virga/contract/ids';
import type { HostMemoryReport } from '@virga/contract/rest/host-memory';
import type { CloudAccess } from '../../access/authorizer.ts';
import type { Deps } from '../../deps.ts';
import { getHost } from '../hosts/host-operations.ts';
import { hugePagesOfHost } from '../hosts/host-policy.ts';
import { holdsMergedMemory } from './memory-merging.ts';

type Row = HostMemoryReport['instances'][number];
type Sums = HostMemoryReport['projects'][number];

/** @throws NotFound | HostUnavailable */
export async function hostMemoryReport(
  deps: Deps,
  access: CloudAccess,
  id: HostId,
  signal?: AbortSignal,
): Promise<HostMemoryReport> {
  const { db, settings, agents, cloudId } = deps;
  await getHost(db, access, id);
  const memory = await agents.agentOf(id).hostMemory(cloudId, { signal });
  const host = await db.selectFrom('hosts').selectAll().where('id', '=', id).executeTakeFirstOrThrow();
  const names = await db
    .selectFrom('instances')
    .innerJoin('projects', 'projects.id', 'instances.project_id')
    .select(['instances.id', 'instances.name', 'instances.project_id', 'projects.name as project_name'])
    .where('instances.host_id', '=', id)
    .execute();
  const scope = host.ksm_scope ?? settings.ksmScope;
  const instances = rowsOf(memory, names);
  const promised = new Map<number, number>(hugePagesOfHost(host).map(({ sizeKib, allocated }) => [sizeKib, allocated]));
  return {
    hostId: id,
    hostName: host.name,
    totalKib: memory.totalKib,
    availableKib: memory.availableKib,
    swapUsedKib: memory.swapUsedKib,
    floorMib: host.memory_floor_mib ?? settings.memoryFloorMib,
    memoryOvercommit: host.memory_overcommit ?? settings.memoryOvercommit,
    ksm: memory.ksm,
    ksmScope: scope,
    mergingProject: scope === 'project' ? await mergingProject(deps, id) : null,
    hugePages: memory.hugePages.map((pages) => ({ ...pages, promised: promised.get(pages.sizeKib) ?? 0 })),
    relievingSince: host.relieving_since?.toISOString() ?? null,
    ...together(instances),
    projects: byProject(instances),
    instances,
  };
}

async function mergingProject({ db }: Pick<Deps, 'db'>, id: HostId): Promise<HostMemoryReport['mergingProject']> {
  const found = await db
    .selectFrom('instances')
    .innerJoin('projects', 'projects.id', 'instances.project_id')
    .select(['projects.id', 'projects.name'])
    .where('host_id', '=', id)
    .where(holdsMergedMemory)
    .orderBy('instances.created_at')
    .executeTakeFirst();
  return found ?? null;
}

type Named = { id: GuestMemory['id']; name: string; project_id: ProjectId; project_name: string };

/** What the host shows of an instance that was just deleted has no name any more, and is left out. */
export function rowsOf({ guests, ksm }: Pick<HostMemory, 'guests' | 'ksm'>, names: readonly Named[]): Row[] {
  const byId = new Map(names.map((row) => [row.id, row]));
  return guests.flatMap(({ cloudId: _, ...guest }) => {
    const row = byId.get(guest.id);
    if (!row) return [];
    const { name, project_id: projectId, project_name: projectName } = row;
    return [{ ...guest, name, projectId, projectName, mergeSavedKib: mergeSaved(guest.mergedKib, ksm) }];
  });
}

/**
 * Of pages that are merged, one stays. Which guest that one belongs to nobody can say, so what is saved is divided among all
 * whose pages are merged.
 */
export function mergeSaved(mergedKib: number | null, ksm: KsmState | null): number | null {
  if (mergedKib === null || ksm === null) return null;
  const merged = ksm.sharedKib + ksm.savedKib;
  return merged === 0 ? 0 : Math.min(mergedKib, Math.round((mergedKib * ksm.savedKib) / merged));
}

export function byProject(instances: readonly Row[]): Sums[] {
  const ofProject = Map.groupBy(instances, ({ projectId }) => projectId);
  return [...ofProject.entries()]
    .map(([projectId, rows]) => ({ projectId, projectName: rows[0]!.projectName, ...together(rows) }))
    .sort((one, other) => one.projectName.localeCompare(other.projectName));
}

const together = (rows: readonly Row[]) => ({
  guests: rows.length,
  promisedKib: sum(rows, ({ promisedKib }) => promisedKib) ?? 0,
  currentKib: sum(rows, ({ currentKib }) => currentKib) ?? 0,
  residentKib: sum(rows, ({ residentKib }) => residentKib),
  hugePagesKib: sum(rows, ({ hugePagesKib }) => hugePagesKib) ?? 0,
  templateSavedKib: sum(rows, ({ templateSavedKib }) => templateSavedKib),
  mergedKib: sum(rows, ({ mergedKib }) => mergedKib),
  mergeSavedKib: sum(rows, ({ mergeSavedKib }) => mergeSavedKib),
});

/** A sum of which a part is not known is not known. */
function sum(rows: readonly Row[], read: (row: Row) => number | null): number | null {
  let total = 0;
  for (const row of rows) {
    const value = read(row);
    if (value === null) return null;
    total += value;
  }
  return total;
}
