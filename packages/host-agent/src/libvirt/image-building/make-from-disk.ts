// Makes an image of a disk that is there: flattened into one file, and sealed on the way when that was asked for. The disk itself
// is only read: what sealing changes is written to a layer above it.
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { CallContext } from '@virga/contract/agent/agent';
import type { BuildRecord, ImageOrder, LintReport } from '@virga/contract/agent/image-building';
import { copyUsed } from '../../disk-contents/copy-used.ts';
import { type DiskFile, openRawDisk } from '../../disk-contents/raw-disk.ts';
import { lint, seal } from '../../image-lint/lint.ts';
import { runCommand } from '../../run-command.ts';
import type { AgentContext } from '../agent-context.ts';
import { unusable } from '../images/image-check.ts';
import { imageFile } from '../images/image-store.ts';
import { qcow2Of } from './build-file.ts';
import { openGuestContents } from './guest-contents.ts';
import { withStillDisk } from './still-disk.ts';

type Order = ImageOrder & { folder: string };
type Looked = { file: DiskFile; sealed: string[]; report: LintReport };

/** @throws NotFound | Conflict | ImageUnusable | StorageFull */
export async function makeFromDisk(context: AgentContext, order: Order, call: CallContext): Promise<BuildRecord> {
  const { from, folder, cloudId, id } = order;
  if (from.kind === 'recipe') throw new Error('a recipe is no disk');
  return withStillDisk(
    context,
    { cloudId, from },
    async (source) => {
      call.onProgress?.(order.seal ? 'sealing' : 'looking into the disk', 5);
      await context.hook('look-into-disk', id);
      const { file, sealed, report } = await look(context, order, source, call);
      await context.hook('copy-disk', id);
      await qcow2Of(context.storage, file, join(folder, imageFile), { from: 10, to: 85 }, call);
      return { sources: [], packages: [], sealed, report };
    },
    call,
  ).finally(() => cleanUp(folder));
}

async function look(context: AgentContext, order: Order, source: DiskFile, call: CallContext): Promise<Looked> {
  const { signal } = call;
  const { folder } = order;
  const layer = { path: join(folder, 'layer.qcow2'), format: 'qcow2' as const };
  if (order.seal) {
    // With clusters as small as blocks of file systems: what is given back is given back whole.
    const rest = ['-o', 'cluster_size=4096', '-F', source.format, '-b', source.path, layer.path];
    const args = ['create', '-q', '-f', 'qcow2', ...rest];
    await runCommand('qemu-img', args, { signal, package: 'qemu-utils' });
  }
  const disk = await openRawDisk(order.seal ? layer : source, { folder, writable: order.seal, signal });
  try {
    const opened = await openGuestContents(context, disk, call);
    if (!order.seal) return { file: source, sealed: [], report: await lint(opened) };
    if ('why' in opened) throw unusable(`cannot be sealed: ${opened.why}`, 'Make the image without sealing it.');
    const sealed = await seal(opened);
    const whole = { path: join(folder, 'sealed.raw'), format: 'raw' as const };
    await copyUsed(disk, opened.layout, whole.path, await disk.sizeBytes());
    return { file: whole, sealed, report: await lint(opened) };
  } finally {
    await disk.close();
  }
}

/** What was needed on the way; the image stays. */
async function cleanUp(folder: string): Promise<void> {
  for (const name of ['layer.qcow2', 'disk.raw', 'sealed.raw', 'contents']) {
    await rm(join(folder, name), { recursive: true, force: true });
  }
}
