// Templates on the host: a folder each, with the memory of a guest that stands still, the state of its devices and its disk.
// Owns `templates/`. A folder gets its name once all of it is there; what a crash leaves has its cloud in its name.
import { access, open, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { DesiredTemplate } from '@virga/contract/agent/warm';
import { VirgaError } from '@virga/contract/errors';
import { type ImageId, type InstanceId, isId, type TemplateId } from '@virga/contract/ids';
import type { StoredImage } from '../images/image-store.ts';
import { readOwner } from '../instances/instance-folder.ts';
import type { Storage } from '../storage.ts';

export type TemplateRecord = DesiredTemplate & {
  /** What it was made with: a copy must be the same machine. @see template-shape.ts */
  shape: string;
};

export type TemplateFiles = {
  record: string;
  image: string;
  memory: string;
  state: string;
  disk: string;
  seed: string;
};

const folderOf = (storage: Storage, id: TemplateId): string => join(storage.templatesPath, id);

export const unfinishedTemplate = (
  storage: Storage,
  { id, cloudId }: Pick<DesiredTemplate, 'id' | 'cloudId'>,
): string => join(storage.templatesPath, `.${id}.${cloudId}`);

export const filesIn = (folder: string): TemplateFiles => ({
  record: join(folder, 'template.json'),
  /** Id of the image, from the beginning. */
  image: join(folder, 'image'),
  memory: join(folder, 'memory'),
  state: join(folder, 'state'),
  disk: join(folder, 'disk.qcow2'),
  seed: join(folder, 'seed'),
});

export const templateFiles = (storage: Storage, id: TemplateId): TemplateFiles => filesIn(folderOf(storage, id));
export const templateFolder = folderOf;

export async function readTemplate(storage: Storage, id: TemplateId): Promise<TemplateRecord | undefined> {
  try {
    return JSON.parse(await readFile(templateFiles(storage, id).record, 'utf8')) as TemplateRecord;
  } catch (error) {
    if (error instanceof SyntaxError || (error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** Every template of which there is a folder, of any cloud. */
export async function listTemplateRecords(storage: Storage): Promise<TemplateRecord[]> {
  const names = await readdir(storage.templatesPath);
  const records = await Promise.all(
    names.filter((name) => isId('template', name)).map((id) => readTemplate(storage, id as TemplateId)),
  );
  return records.filter((record) => record !== undefined);
}

/** What is being made or removed of a cloud, or was left so by a crash. */
export async function listUnfinishedTemplates(storage: Storage, cloudId: string): Promise<TemplateId[]> {
  const names = (await readdir(storage.templatesPath)).filter((name) => name.endsWith(`.${cloudId}`));
  return names.map((name) => name.slice(1, -cloudId.length - 1)).filter((id) => isId('template', id));
}

/** Templates of any cloud that rest on an image, also those that are only being made. */
export async function findTemplatesOf(storage: Storage, imageId: ImageId): Promise<string[]> {
  const names = await readdir(storage.templatesPath);
  const restsOn = (name: string) =>
    readFile(filesIn(join(storage.templatesPath, name)).image, 'utf8').then(
      (id) => id === imageId,
      () => false,
    );
  const rest = await Promise.all(names.map(restsOn));
  return names.filter((_, index) => rest[index]);
}

/** Ids of the instances and shells of any cloud whose disks rest on that of a template. */
export async function findClonesOfTemplate(storage: Storage, templateId: TemplateId): Promise<InstanceId[]> {
  const clones: InstanceId[] = [];
  for (const name of await readdir(storage.instancesPath)) {
    if (isId('instance', name) && (await readOwner(storage, name))?.templateId === templateId) clones.push(name);
  }
  return clones;
}

/** True as long as it can be copied: what nobody needs but for that is removed first. */
export async function hasMemory(storage: Storage, id: TemplateId): Promise<boolean> {
  const { memory, state } = templateFiles(storage, id);
  return Promise.all([access(memory), access(state)]).then(
    () => true,
    () => false,
  );
}

/**
 * Gives the memory back. Copies that run keep what they have mapped, and one that was hibernated as a copy looks for a file of
 * that size when it is woken, whose content does not matter: an empty one stays.
 */
export async function removeMemory(storage: Storage, id: TemplateId): Promise<void> {
  const { memory, state, seed } = templateFiles(storage, id);
  // The state first: without it nobody takes the memory for a whole one.
  await rm(state, { force: true });
  await rm(seed, { force: true });
  const was = await stat(memory).catch(() => undefined);
  if (was === undefined || was.blocks === 0) return;
  const empty = `${memory}.empty`;
  await rm(empty, { force: true });
  {
    await using file = await open(empty, 'wx', was.mode & 0o777);
    await file.truncate(was.size);
    if (process.getuid?.() === 0) await file.chown(was.uid, was.gid);
    // Not what the umask left of it.
    await file.chmod(was.mode & 0o777);
  }
  await rename(empty, memory);
}

/** What the disk of a copy rests on: the template's, which rests on the image. */
export async function templateDisk(
  storage: Storage,
  { id, cloudId }: { id: TemplateId; cloudId: string },
  image: StoredImage,
): Promise<StoredImage> {
  const record = await readTemplate(storage, id);
  if (record?.cloudId !== cloudId) throw templateMissing(id);
  const { disk: path } = templateFiles(storage, id);
  return { ...image, path, format: 'qcow2', virtualSizeBytes: record.diskBytes, base: image };
}

export const templateMissing = (id: TemplateId) =>
  new VirgaError('NotFound', {
    detail: `The template ${id} is not on this host, or cannot be copied any more.`,
    action: 'Nothing: launches begin cold. To make it anew: virga images warm IMAGE.',
  });
