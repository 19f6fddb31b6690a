// Programs of vendors, which lie where each vendor likes: found by their paths, so that none of another name is run.
import type { HostSystem } from '../host-system/host-system.ts';

/** The first one that is there. */
export async function firstInstalled(system: HostSystem, paths: readonly string[]): Promise<string | undefined> {
  for (const path of paths) if (await system.exists(path)) return path;
  return undefined;
}

/** In the usual folders and in that of its package. */
export const placesOf = (names: readonly string[], folders: readonly string[]): string[] =>
  names.flatMap((name) =>
    [...folders, '/usr/sbin', '/usr/bin', '/usr/local/sbin', '/usr/local/bin', '/sbin'].map(
      (folder) => `${folder}/${name}`,
    ),
  );
