// Images that are made here, and what is found inside of images. Owns the folder in which an image is made, which is the image's
// own without a name, and its lock. Nothing is left of an image that could not be made.
import { mkdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { CallContext } from '@virga/contract/agent/agent';
import type {
  BuildRecord,
  BuiltImage,
  ImageBuilding,
  ImageOrder,
  LintReport,
  LintTarget,
} from '@virga/contract/agent/image-building';
import { imageTaken } from '../../build-conflicts.ts';
import { type DiskFile, openRawDisk } from '../../disk-contents/raw-disk.ts';
import { writeFileDurably } from '../../durable-file.ts';
import { lint } from '../../image-lint/lint.ts';
import type { AgentContext } from '../agent-context.ts';
import { findImage, imageFile, imageFolder, observed, removeImage, unfinishedFolder } from '../images/image-store.ts';
import { settleImage } from '../images/settle-image.ts';
import { storageError } from '../storage.ts';
import { fingerprint } from './build-file.ts';
import { requireBuildTools, requireContentTools } from './build-tools.ts';
import { openGuestContents } from './guest-contents.ts';
import { makeFromDisk } from './make-from-disk.ts';
import { makeFromRecipe } from './make-from-recipe.ts';
import { withStillDisk } from './still-disk.ts';

const buildFile = 'build.json';
const folderMode = 0o711;
const recordMode = 0o440;

export const imageBuilding = (context: AgentContext): ImageBuilding => ({
  buildImage: (order, call = {}) => buildImage(context, order, call),
  lintImage: (cloudId, target, call = {}) => lintImage(context, cloudId, target, call),
});

function buildImage(context: AgentContext, order: ImageOrder, call: CallContext): Promise<BuiltImage> {
  const { storage, locks } = context;
  const { id, cloudId, from, keepsake } = order;
  return locks.run(id, async () => {
    const present = await findImage(storage, id);
    if (present !== undefined) {
      if (present.cloudId !== cloudId) throw imageTaken(id);
      const record = JSON.parse(await readFile(join(imageFolder(storage, id), buildFile), 'utf8')) as BuildRecord;
      return { image: observed(present), path: present.path, record };
    }
    if (from.kind === 'recipe') await requireBuildTools();
    else await requireContentTools();
    const unfinished = unfinishedFolder(storage, id, cloudId);
    try {
      await context.hook('make-image-folder', id);
      await removeImage(storage, id, cloudId);
      await mkdir(unfinished, { mode: folderMode });
      const make = from.kind === 'recipe' ? makeFromRecipe : makeFromDisk;
      const record = await make(context, { ...order, folder: unfinished }, call);
      const path = join(unfinished, imageFile);
      const print = await fingerprint(path, call.signal);
      await writeFileDurably(join(unfinished, buildFile), `${JSON.stringify(record)}\n`, recordMode);
      const source = { kind: 'file' as const, path: join(imageFolder(storage, id), imageFile) };
      const desired = { id, cloudId, generation: 1, source, format: 'qcow2' as const, ...(keepsake && { keepsake }) };
      const image = await settleImage(context, desired, { unfinished, ...print }, call);
      return { image, path: source.path, record };
    } catch (error) {
      await rm(unfinished, { recursive: true, force: true });
      throw storageError(error, storage, 'make an image');
    }
  });
}

async function lintImage(
  context: AgentContext,
  cloudId: string,
  target: LintTarget,
  call: CallContext,
): Promise<LintReport> {
  await requireContentTools();
  const from =
    target.kind === 'image'
      ? { kind: 'image' as const, imageId: target.id }
      : { kind: 'instance' as const, instanceId: target.id };
  return withStillDisk(
    context,
    { cloudId, from },
    (file) =>
      // Several may look into an image at the same time, and have one folder.
      context.locks.run(`lint ${target.id}`, async () => {
        const folder = await lintFolder(context, target.id);
        try {
          return await lintFile(context, file, folder, call);
        } finally {
          await rm(folder, { recursive: true, force: true });
        }
      }),
    call,
  );
}

async function lintFile(context: AgentContext, file: DiskFile, folder: string, call: CallContext): Promise<LintReport> {
  const disk = await openRawDisk(file, { folder, writable: false, signal: call.signal });
  try {
    return await lint(await openGuestContents(context, disk, call));
  } finally {
    await disk.close();
  }
}

/** One for each target: looking leaves nothing behind, and what a crash left the next look removes. */
async function lintFolder({ storage }: AgentContext, id: string): Promise<string> {
  const folder = join(storage.path, `.lint-${id}`);
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { mode: folderMode });
  return folder;
}
