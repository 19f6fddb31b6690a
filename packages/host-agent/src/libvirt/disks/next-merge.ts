// Which file of a disk is no longer needed by itself, and what becomes of the lists when it is merged. Pure.
import type { DiskLayers, DiskTree } from './disk-layers.ts';

/** What `from` has written goes into `into`, which it rests on; then `from` is gone, and who rested on it rests on `into`. */
export type Merge = { into: string; from: string };

/**
 * A file that no snapshot ends with, and that only one other rests on. What clones rest on is never written to.
 * @param pinned names of such files
 */
export function nextMerge(tree: DiskTree, pinned: ReadonlySet<string>): Merge | undefined {
  const kept = Object.values(tree.snapshots);
  const ends = new Set(kept.map((layers) => layers.at(-1)!));
  const above = new Map<string, Set<string>>();
  for (const layers of [tree.current, ...kept]) {
    for (const [index, name] of layers.entries()) {
      const next = layers[index + 1];
      if (next !== undefined) above.set(name, (above.get(name) ?? new Set()).add(next));
    }
  }
  for (const [into, others] of above) {
    if (ends.has(into) || pinned.has(into) || others.size > 1) continue;
    return { into, from: [...others][0]! };
  }
  return undefined;
}

export function afterMerge({ current, snapshots }: DiskTree, { into, from }: Merge): DiskTree {
  const without = (layers: DiskLayers): DiskLayers =>
    layers.includes(into) ? (layers.filter((name) => name !== from) as unknown as DiskLayers) : layers;
  return {
    current: without(current),
    snapshots: Object.fromEntries(Object.entries(snapshots).map(([id, layers]) => [id, without(layers)])),
  };
}

/** Files that rest on one. */
export function restingOn({ current, snapshots }: DiskTree, name: string): string[] {
  const next = [current, ...Object.values(snapshots)].flatMap((layers) => {
    const index = layers.indexOf(name);
    return index < 0 ? [] : (layers[index + 1] ?? []);
  });
  return [...new Set(next)];
}

/** All files that a disk is known to have. */
export const namesIn = ({ current, snapshots }: DiskTree): Set<string> =>
  new Set([current, ...Object.values(snapshots)].flat());
