// What a recipe of the checkout makes for the agent's own use: built when it is first needed, and kept by the key of that. Appears
// whole or not at all.
import { chmod, cp, mkdir, readdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { CallContext } from '@virga/contract/agent/call-context';
import { VirgaError } from '@virga/contract/errors';
import { exists } from '../exists.ts';
import type { HostSystem } from '../host-system/host-system.ts';
import type { KeyedLock } from '../keyed-lock.ts';
import { CommandFailed } from '../run-command.ts';
import type { Storage } from './storage.ts';

/** `recipe`: its program, which is asked for the key too. `file`: what it has made before. */
export type RecipeOutput = { recipe: string } | { file: string };

export type Kept = {
  /** In the storage. */
  folder: string;
  /** Of its name. */
  suffix: string;
  /** Such as `the image to measure with`. */
  what: string;
};

const buildTimeoutMs = 15 * 60_000;

/** @throws OperationFailed it cannot be built | HostIncapable */
export function builtImage(
  { storage, system, locks }: { storage: Storage; system: HostSystem; locks: KeyedLock },
  from: RecipeOutput | undefined,
  { folder: name, suffix, what }: Kept,
  { onProgress, signal }: CallContext,
): Promise<string> {
  if (from === undefined) {
    throw new VirgaError('HostIncapable', {
      detail: `This agent has no recipe of ${what}.`,
      action: 'Run Virga from a complete checkout.',
    });
  }
  const folder = join(storage.path, name);
  return locks.run(folder, async () => {
    await mkdir(folder, { recursive: true, mode: 0o711 });
    if ('file' in from) {
      // Where it lies, QEMU's user may have no way to it.
      const path = join(folder, `given${suffix}`);
      await cp(from.file, path, { recursive: true });
      await letRead(path);
      return path;
    }
    try {
      const key = (await system.run(from.recipe, ['--print-key'], { signal })).trim();
      const path = join(folder, `${key}${suffix}`);
      if (await exists(path)) return path;
      onProgress?.(`building ${what}, once`, 0);
      const partial = `${path}.new`;
      await system.run(from.recipe, [partial], { signal, timeoutMs: buildTimeoutMs });
      await letRead(partial);
      await rename(partial, path);
      for (const other of await readdir(folder)) {
        if (other !== `${key}${suffix}`) await rm(join(folder, other), { recursive: true, force: true });
      }
      return path;
    } catch (error) {
      if (!(error instanceof CommandFailed)) throw error;
      const lastLine = error.stderr.trim().split('\n').at(-1) ?? '';
      throw new VirgaError('OperationFailed', {
        detail: `${what[0]?.toUpperCase()}${what.slice(1)} could not be built: ${lastLine}`,
        action: `Run ${from.recipe} on the host to see why: it needs the package archive of the distribution, and the packages in images/starter/packages.`,
        cause: error,
      });
    }
  });
}

async function letRead(path: string): Promise<void> {
  await chmod(path, (await stat(path)).isDirectory() ? 0o755 : 0o644);
}
