// Which backups are kept: a pure rule. The youngest of each day, week (from Monday) and month, in UTC, for as many of those as have
// one; and all that those rest on, because without it they are nothing.
import type { BackupId } from '@virga/contract/ids';
import type { Retention } from '@virga/contract/rest/backups';

export type KeptBackup = { id: BackupId; takenAt: Date; parentId: BackupId | null };

/** What a schedule keeps when nobody says otherwise. */
export const defaultRetention: Retention = { last: 7, daily: 7, weekly: 4, monthly: 6 };

const dayMs = 86_400_000;

const periods: Record<keyof Retention, (at: Date) => string | number> = {
  // Each is a period of its own.
  last: (at) => at.getTime(),
  daily: (at) => Math.floor(at.getTime() / dayMs),
  // The first of January 1970 was a Thursday.
  weekly: (at) => Math.floor((at.getTime() / dayMs + 3) / 7),
  monthly: (at) => at.getUTCFullYear() * 12 + at.getUTCMonth(),
};

/** Ids of those that stay. One that is the youngest always does: there is no sense in a backup that is made to be deleted. */
export function keptBackups(backups: readonly KeptBackup[], retention: Retention): Set<BackupId> {
  const youngestFirst = backups.toSorted((a, b) => b.takenAt.getTime() - a.takenAt.getTime() || (a.id < b.id ? 1 : -1));
  const kept = new Set<BackupId>(youngestFirst.slice(0, 1).map(({ id }) => id));
  for (const rule of Object.keys(periods) as (keyof Retention)[]) {
    const limit = retention[rule] ?? 0;
    const seen = new Set<string | number>();
    for (const { id, takenAt } of youngestFirst) {
      if (seen.size >= limit) break;
      const period = rule === 'last' ? id : periods[rule](takenAt);
      if (seen.has(period)) continue;
      seen.add(period);
      kept.add(id);
    }
  }
  const byId = new Map(backups.map((backup) => [backup.id, backup]));
  for (const id of [...kept]) {
    for (let backup = byId.get(id); backup?.parentId; backup = byId.get(backup.parentId)) kept.add(backup.parentId);
  }
  return kept;
}

/**
 * What goes, in an order in which none goes before one that rests on it: by how many each rests on, because a clock that was set
 * back makes those that rest on others the older ones.
 */
export function expendableBackups(backups: readonly KeptBackup[], retention: Retention): BackupId[] {
  const kept = keptBackups(backups, retention);
  const byId = new Map(backups.map((backup) => [backup.id, backup]));
  const depthOf = ({ parentId }: KeptBackup): number => {
    let depth = 0;
    for (let at = parentId; at !== null; at = byId.get(at)?.parentId ?? null) depth++;
    return depth;
  };
  return backups
    .filter(({ id }) => !kept.has(id))
    .toSorted((a, b) => depthOf(b) - depthOf(a))
    .map(({ id }) => id);
}
