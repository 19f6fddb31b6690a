// What hosts keep for a lost database, as a file of the storage for each cloud. One that cannot be read counts as none: it is
// written anew when the control plane next looks.
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import type { HostKeeping, HostKeepsake } from '@virga/contract/agent/host-keepsake';
import { VirgaError } from '@virga/contract/errors';
import { flushName, writeFileDurably } from '../../durable-file.ts';
import type { AgentContext } from '../agent-context.ts';
import type { Storage } from '../storage.ts';

const mode = 0o600;
/** A cloud's id is part of the name. */
const cloudIds = /^[\w-]{1,64}$/;
const fileNames = /^host-keepsake\.([\w-]{1,64})\.json$/;

export function hostKeepsakes({ storage, clock }: Pick<AgentContext, 'storage' | 'clock'>): HostKeeping {
  return {
    async keepHost(cloudId, keepsake) {
      if (!cloudIds.test(cloudId)) {
        throw new VirgaError('InvalidArgument', { detail: `${cloudId} is no id of a cloud.`, action: 'Report it.' });
      }
      const path = join(storage.path, `host-keepsake.${cloudId}.json`);
      if (isDeepStrictEqual((await readKeepsake(path, cloudId))?.keepsake, keepsake)) return;
      const keptAt = new Date(clock.now()).toISOString();
      await writeFileDurably(path, `${JSON.stringify({ keptAt, keepsake })}\n`, mode);
      await flushName(path);
    },
  };
}

/** Of every cloud. */
export async function findKeepsakes(storage: Storage): Promise<HostKeepsake[]> {
  const clouds = (await readdir(storage.path)).flatMap((name) => fileNames.exec(name)?.[1] ?? []);
  const found = await Promise.all(
    clouds.map((cloudId) => readKeepsake(join(storage.path, `host-keepsake.${cloudId}.json`), cloudId)),
  );
  return found.filter((keepsake) => keepsake !== undefined);
}

async function readKeepsake(path: string, cloudId: string): Promise<HostKeepsake | undefined> {
  try {
    const { keptAt, keepsake } = JSON.parse(await readFile(path, 'utf8')) as Partial<HostKeepsake>;
    const isWhole = typeof keptAt === 'string' && typeof keepsake === 'object' && keepsake !== null;
    return isWhole ? { cloudId, keptAt, keepsake } : undefined;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT' || error instanceof SyntaxError) return undefined;
    throw error;
  }
}
