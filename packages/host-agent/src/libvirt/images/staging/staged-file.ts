// What has come of an image that is being downloaded or sent: a folder beside the images, named after image and cloud, so that
// it can be removed by whoever knows the two. Owns `images/.ami-….CLOUD.staged`. Outlives the agent; what came before the host
// lost its power does not count, because it may not be on the disk.
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { chmod, mkdir, readdir, readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { ImageVerification } from '@virga/contract/agent/image-source';
import { type ImageId, isId } from '@virga/contract/ids';
import { writeFileDurably } from '../../../durable-file.ts';
import type { Storage } from '../../storage.ts';

export type Owner = { id: ImageId; cloudId: string };
/** What is known of a file that has not come as a whole, or of the whole. */
export type StagedRecord = {
  bootId: string;
  /** Of a download: what a further part has to belong to. */
  etag?: string | undefined;
  /** Where it came from in the end, if that is another place than the one asked. */
  from?: string | undefined;
  totalBytes?: number | undefined;
  /** It is all here, and is what it should be. */
  verified?: Omit<ImageVerification, 'format'> | undefined;
};

const folderMode = 0o711;
const bootIdPath = '/proc/sys/kernel/random/boot_id';

export class StagedFile {
  readonly folder: string;
  readonly path: string;
  readonly #recordPath: string;

  constructor(storage: Storage, { id, cloudId }: Owner) {
    this.folder = stagedFolder(storage, { id, cloudId });
    this.path = join(this.folder, 'content');
    this.#recordPath = join(this.folder, 'staged.json');
  }

  /** Makes room for it. What is there stays, unless it cannot be relied upon. */
  async open(): Promise<StagedRecord> {
    const record = await this.read();
    if (record) return record;
    await rm(this.folder, { recursive: true, force: true });
    await mkdir(this.folder, { mode: folderMode });
    await chmod(this.folder, folderMode);
    return this.write({ bootId: await bootId() });
  }

  /** Undefined: there is nothing that counts. */
  async read(): Promise<StagedRecord | undefined> {
    try {
      const record = JSON.parse(await readFile(this.#recordPath, 'utf8')) as StagedRecord;
      return record.verified || record.bootId === (await bootId()) ? record : undefined;
    } catch (error) {
      if (error instanceof SyntaxError || (error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw error;
    }
  }

  async write(record: StagedRecord): Promise<StagedRecord> {
    await writeFileDurably(this.#recordPath, `${JSON.stringify(record)}\n`, 0o600);
    return record;
  }

  async sizeBytes(): Promise<number> {
    return stat(this.path).then(
      ({ size }) => size,
      (error: NodeJS.ErrnoException) => {
        if (error.code === 'ENOENT') return 0;
        throw error;
      },
    );
  }

  /** Forgets the content. */
  async empty(): Promise<void> {
    await rm(this.path, { force: true });
  }

  remove(): Promise<void> {
    return rm(this.folder, { recursive: true, force: true });
  }
}

export const stagedFolder = (storage: Storage, { id, cloudId }: Owner): string =>
  join(storage.imagesPath, `.${id}.${cloudId}.staged`);

export async function listStaged(storage: Storage, cloudId: string): Promise<ImageId[]> {
  const suffix = `.${cloudId}.staged`;
  const names = (await readdir(storage.imagesPath)).filter((name) => name.startsWith('.') && name.endsWith(suffix));
  return names.map((name) => name.slice(1, -suffix.length)).filter((id): id is ImageId => isId('image', id));
}

/** The digests of a file, in one reading. */
export async function digestsOf(
  path: string,
  algorithms: readonly ('sha256' | 'sha512')[],
  { signal, onBytes }: { signal?: AbortSignal | undefined; onBytes?: (bytes: number) => void } = {},
): Promise<Map<string, string>> {
  const hashes = new Map(algorithms.map((name) => [name, createHash(name)]));
  let bytes = 0;
  for await (const chunk of createReadStream(path, { highWaterMark: 1024 ** 2, ...(signal && { signal }) })) {
    for (const hash of hashes.values()) hash.update(chunk as Buffer);
    bytes += (chunk as Buffer).length;
    onBytes?.(bytes);
  }
  return new Map([...hashes].map(([name, hash]) => [name, hash.digest('hex')]));
}

async function bootId(): Promise<string> {
  return (await readFile(bootIdPath, 'utf8')).trim();
}
