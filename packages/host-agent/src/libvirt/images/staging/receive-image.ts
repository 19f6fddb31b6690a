// Takes the bytes of an image that somebody sends, straight from the stream to the disk. Owns where a part may begin and end,
// and that no image takes more room than it said that it would.
import { open } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import type { ImagePart } from '@virga/contract/agent/image-fetching';
import { moreThanSaid, otherPlace } from '../../../image-conflicts.ts';
import type { AgentContext } from '../../agent-context.ts';
import { requireSpace, reserveBytes, storageError } from '../../storage.ts';
import { type Owner, StagedFile } from './staged-file.ts';

export function receiveImage(
  { storage, locks }: AgentContext,
  { id, cloudId, offsetBytes, sizeBytes }: ImagePart,
  content: Readable,
  signal?: AbortSignal,
): Promise<number> {
  return locks.run(id, async () => {
    const staged = new StagedFile(storage, { id, cloudId });
    try {
      await staged.open();
      const haveBytes = await staged.sizeBytes();
      if (offsetBytes !== haveBytes) throw otherPlace(haveBytes);
      await requireSpace(storage, sizeBytes - haveBytes + reserveBytes);
      return await append(staged.path, content, { haveBytes, sizeBytes, signal });
    } catch (error) {
      throw storageError(error, storage, 'keep what is sent');
    } finally {
      content.destroy();
    }
  });
}

async function append(
  path: string,
  content: Readable,
  { haveBytes, sizeBytes, signal }: { haveBytes: number; sizeBytes: number; signal: AbortSignal | undefined },
): Promise<number> {
  await using file = await open(path, 'a', 0o600);
  let bytes = haveBytes;
  try {
    for await (const chunk of content as AsyncIterable<Buffer>) {
      signal?.throwIfAborted();
      if (bytes + chunk.length > sizeBytes) throw moreThanSaid(sizeBytes);
      await file.write(chunk);
      bytes += chunk.length;
    }
  } finally {
    // What the sender is told that we have outlives a power cut.
    await file.datasync();
  }
  return bytes;
}

export async function receivedBytes({ storage }: AgentContext, owner: Owner): Promise<number> {
  const staged = new StagedFile(storage, owner);
  return (await staged.read()) ? staged.sizeBytes() : 0;
}
