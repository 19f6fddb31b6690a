// The image of the guests that hosts are measured with: built from its recipe when it is first needed, and kept by the key of
// that. Appears whole or not at all.
import { chmod, constants, copyFile, mkdir, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { CallContext } from '@virga/contract/agent/call-context';
import { VirgaError } from '@virga/contract/errors';
import { exists } from '../../exists.ts';
import { CommandFailed } from '../../run-command.ts';
import type { AgentContext } from '../agent-context.ts';

/** `recipe`: its program, which is asked for the key too. `file`: a built image. */
export type BenchImage = { recipe: string } | { file: string };

const buildTimeoutMs = 15 * 60_000;

/** @throws OperationFailed it cannot be built | HostIncapable */
export async function benchImage(
  { storage, system }: Pick<AgentContext, 'storage' | 'system'>,
  image: BenchImage | undefined,
  { onProgress, signal }: CallContext,
): Promise<string> {
  if (image === undefined) {
    throw new VirgaError('HostIncapable', {
      detail: 'This agent has no recipe of the image that hosts are measured with.',
      action: 'Run Virga from a complete checkout.',
    });
  }
  const folder = join(storage.path, 'bench-images');
  await mkdir(folder, { recursive: true, mode: 0o711 });
  if ('file' in image) {
    // Where it lies, QEMU's user may have no way to it.
    const path = join(folder, 'given.qcow2');
    await copyFile(image.file, path, constants.COPYFILE_FICLONE);
    await chmod(path, 0o644);
    return path;
  }
  try {
    const key = (await system.run(image.recipe, ['--print-key'], { signal })).trim();
    const path = join(folder, `${key}.qcow2`);
    if (await exists(path)) return path;
    onProgress?.('building the image to measure with, once', 0);
    const partial = `${path}.new`;
    await system.run(image.recipe, [partial], { signal, timeoutMs: buildTimeoutMs });
    await chmod(partial, 0o644);
    await rename(partial, path);
    for (const other of await readdir(folder)) {
      if (other !== `${key}.qcow2`) await rm(join(folder, other), { force: true });
    }
    return path;
  } catch (error) {
    if (!(error instanceof CommandFailed)) throw error;
    const lastLine = error.stderr.trim().split('\n').at(-1) ?? '';
    throw new VirgaError('OperationFailed', {
      detail: `The image to measure with could not be built: ${lastLine}`,
      action: `Run ${image.recipe} on the host to see why: it needs the package archive of the distribution.`,
      cause: error,
    });
  }
}
