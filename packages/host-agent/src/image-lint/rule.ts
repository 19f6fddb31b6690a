// What a rule of the lint is: what it looks at, why, and what sealing does about what it saw. Owns the shape, and the sentences
// that lists of files become.
import type { LintVerdict } from '@virga/contract/agent/image-building';
import type { DiskContents } from '../disk-contents/disk-contents.ts';
import type { Found, GuestFiles } from './guest-files.ts';

export type Look = {
  verdict: LintVerdict;
  /** What was read, and where: a sentence. */
  seen: string;
  /** What sealing does about it: a sentence, and the act, which answers what it has done. */
  repair?: { says: string; act(): Promise<string> };
};

export type Rule = {
  id: string;
  title: string;
  /** Why it matters: a sentence. */
  why: string;
  look(guest: GuestFiles): Promise<Look>;
};

export const fine = (seen: string): Look => ({ verdict: 'ok', seen });

const namedAtMost = 3;

/** Such as `/a, /b, /c and 4 more`. */
export function naming(paths: readonly string[]): string {
  const named = paths.slice(0, namedAtMost).join(', ');
  return paths.length > namedAtMost ? `${named} and ${paths.length - namedAtMost} more` : named;
}

export const pathsOf = (found: readonly Found[]): string[] => found.map(({ path }) => path);

/** The repair of files that should not be there. */
export function removal(root: DiskContents, paths: readonly string[]): NonNullable<Look['repair']> {
  return {
    says: paths.length === 1 ? 'Removes it.' : 'Removes them.',
    async act() {
      for (const path of paths) await root.remove(path);
      return `Removed ${naming(paths)}.`;
    },
  };
}

/** Writes a file anew, with the rights and the owner that it has. */
export async function rewrite(root: DiskContents, path: string, content: string): Promise<void> {
  const { mode = 0o644, uid = 0, gid = 0 } = (await root.stat(path)) ?? {};
  await root.write(path, content, { mode, uid, gid });
}
