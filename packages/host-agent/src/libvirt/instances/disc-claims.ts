// Which ISO images the drive of an instance holds, or may hold, written down in its folder before one is inserted, so that
// nobody deletes what a guest reads. Owns `discs.json`; an instance without it has none.
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { DesiredInstance } from '@virga/contract/agent/desired';
import { type ImageId, type InstanceId, isId } from '@virga/contract/ids';
import { writeFileDurably } from '../../durable-file.ts';
import type { AgentContext } from '../agent-context.ts';
import { requireStoredImage, type StoredImage } from '../images/image-store.ts';
import type { Storage } from '../storage.ts';
import { folderPath } from './instance-folder.ts';

const claimsFile = 'discs.json';
const claimsMode = 0o644;

export async function readClaims(storage: Storage, id: InstanceId): Promise<ImageId[]> {
  try {
    return JSON.parse(await readFile(join(folderPath(storage, id), claimsFile), 'utf8')) as ImageId[];
  } catch (error) {
    if (error instanceof SyntaxError || (error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}

/**
 * Makes sure that nobody deletes the disc that is to be in the drive. The folder of the instance is there.
 * @returns the disc; null when none is to be in it
 * @throws NotFound it is not on this host
 */
export async function claimDisc(context: AgentContext, desired: DesiredInstance): Promise<StoredImage | null> {
  const { storage } = context;
  const imageId = desired.cdrom?.imageId ?? null;
  if (imageId === null) return null;
  // Whoever deletes an image takes the same lock, and then finds the claim.
  return context.locks.run(imageId, async () => {
    const disc = await requireStoredImage(storage, desired.cloudId, imageId);
    const claims = await readClaims(storage, desired.id);
    if (!claims.includes(imageId)) {
      await context.hook('claim-disc', desired.id);
      await write(storage, desired.id, [...claims, imageId]);
    }
    return disc;
  });
}

/** Ids of the instances of any cloud in whose drive an image is, or may be. */
export async function findDrivesOf(storage: Storage, imageId: ImageId): Promise<InstanceId[]> {
  const found: InstanceId[] = [];
  for (const name of await readdir(storage.instancesPath)) {
    if (isId('instance', name) && (await readClaims(storage, name)).includes(imageId)) found.push(name);
  }
  return found;
}

/** Gives up what was in the drive before: neither the domain nor its definition has it any more. */
export async function settleClaims(context: AgentContext, { id, cdrom }: DesiredInstance): Promise<void> {
  const claims = await readClaims(context.storage, id);
  if (claims.every((claim) => claim === cdrom?.imageId)) return;
  await context.hook('settle-discs', id);
  await write(
    context.storage,
    id,
    claims.filter((claim) => claim === cdrom?.imageId),
  );
}

const write = (storage: Storage, id: InstanceId, claims: ImageId[]): Promise<void> =>
  writeFileDurably(join(folderPath(storage, id), claimsFile), `${JSON.stringify(claims)}\n`, claimsMode);
