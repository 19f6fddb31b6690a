// Makes an image of a recipe: the root folder, the disk, the seal, the file. What is needed on the way lies in a folder of the
// builder, which has it alone, and is gone before the image is named.
import { createHash } from 'node:crypto';
import { chown, mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { CallContext } from '@virga/contract/agent/agent';
import type { BuildRecord, ImageOrder } from '@virga/contract/agent/image-building';
import type { ImageRecipe } from '@virga/contract/agent/image-recipe';
import { copyUsed } from '../../disk-contents/copy-used.ts';
import { openContents } from '../../disk-contents/open-contents.ts';
import { openRawDisk } from '../../disk-contents/raw-disk.ts';
import { builderUid } from '../../image-building/builder-namespace.ts';
import { makeRecipeDisk, writeBootConfiguration } from '../../image-building/recipe-disk.ts';
import { makeRecipeRoot } from '../../image-building/recipe-root.ts';
import { lint, seal } from '../../image-lint/lint.ts';
import type { AgentContext } from '../agent-context.ts';
import { imageFile } from '../images/image-store.ts';
import { requireSpace } from '../storage.ts';
import { sameQcow2Of } from './build-file.ts';

type Order = ImageOrder & { folder: string };

const builderMode = 0o711;
const mib = 1024 * 1024;
/** Packages are there twice, as folder and as disk, and once more as they were fetched. */
const smallestSpaceBytes = 512 * mib;

/** @throws OperationFailed | StorageFull | HostUnavailable */
export async function makeFromRecipe(context: AgentContext, order: Order, call: CallContext): Promise<BuildRecord> {
  const { from, id } = order;
  if (from.kind !== 'recipe') throw new Error('no recipe');
  const { recipe } = from;
  const { signal, onProgress } = call;
  const folder = join(order.folder, 'builder');
  await requireSpace(context.storage, smallestSpaceBytes);
  await mkdir(folder, { mode: builderMode });
  await chown(folder, builderUid, builderUid);
  const epochSeconds = epochOf(recipe);
  try {
    await context.hook('install-packages', id);
    const root = await makeRecipeRoot(recipe, { folder, epochSeconds, signal, onProgress });
    const plan = {
      root: root.path,
      sizeMib: recipe.sizeMib,
      boot: recipe.boot ?? 'both',
      kernelArguments: recipe.kernelArguments ?? [],
      epochSeconds,
      seed: createHash('sha256').update(JSON.stringify(recipe)).digest('hex'),
      signal,
    };
    onProgress?.('making the disk', 65);
    await context.hook('make-disk', id);
    if (plan.boot !== 'none') await writeBootConfiguration(plan);
    const { path } = await makeRecipeDisk(folder, plan);
    onProgress?.('sealing', 75);
    const disk = await openRawDisk({ path, format: 'raw' }, { folder, writable: true, signal });
    const opened = await openContents(disk, { epochSeconds });
    const isSealed = order.seal && (recipe.seal ?? true) && !('why' in opened);
    const sealed = isSealed ? await seal(opened) : [];
    const report = await lint(opened);
    const used = { path: join(folder, 'used.raw'), format: 'raw' as const };
    await copyUsed(disk, opened.layout, used.path, await disk.sizeBytes());
    await disk.close();
    await context.hook('copy-disk', id);
    onProgress?.('copying the disk', 78);
    await sameQcow2Of(used, join(order.folder, imageFile), call);
    return { sources: root.sources, packages: root.packages, sealed, report };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Nothing in the image is newer than this, so that it is the same whenever it is built. */
function epochOf({ base: { snapshot } }: ImageRecipe): number {
  const [, date, time] = /^(\d{8})T(\d{6})Z$/.exec(snapshot ?? '20250101T000000Z')!;
  const iso = `${date!.replace(/(....)(..)(..)/, '$1-$2-$3')}T${time!.replace(/(..)(..)(..)/, '$1:$2:$3')}Z`;
  return Math.floor(Date.parse(iso) / 1000);
}
