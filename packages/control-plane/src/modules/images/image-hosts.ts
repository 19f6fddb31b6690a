// Images on hosts: bringing one there, and taking it away.
import type { DesiredImage } from '@virga/contract/agent/desired';
import type { ImageId } from '@virga/contract/ids';
import type { RegisteredHost } from '../../agents/agent-registry.ts';
import type { Deps } from '../../deps.ts';
import type { Db } from '../../store/database.ts';
import type { ActContext } from '../../workflows/workflow.ts';
import { type KeptProject, keptProject } from '../projects/kept-project.ts';
import { imageSourceOf } from './image-source.ts';
import type { ImageRow } from './image-store.ts';

export type ImageOrder = ImageRow & { project: KeptProject };

/** As its hosts need it. */
export async function findImageOrder(db: Db, id: ImageId): Promise<ImageOrder | undefined> {
  return db
    .selectFrom('images')
    .selectAll('images')
    .select(keptProject('images').as('project'))
    .where('id', '=', id)
    .executeTakeFirst();
}

export async function desiredImageOf(deps: Deps, order: ImageOrder): Promise<DesiredImage> {
  const { project, ...row } = order;
  const { id, format, kind } = row;
  const { state: _, state_reason: __, virtual_size_bytes: ___, file_size_bytes: ____, sha256: _____, ...kept } = row;
  const keepsake = JSON.parse(JSON.stringify({ project, row: kept }));
  const source = await imageSourceOf(deps, order);
  return { id, cloudId: deps.cloudId, generation: 1, source, format, kind, keepsake };
}

/** Removes the image from every host. @throws HostUnavailable one could not be reached; the others no longer have it */
export async function removeFromHosts({ deps, input, signal }: ActContext<{ imageId: ImageId }>): Promise<void> {
  const image = { id: input.imageId, cloudId: deps.cloudId };
  const results = await Promise.allSettled(deps.agents.all().map(({ agent }) => agent.deleteImage(image, { signal })));
  for (const result of results) if (result.status === 'rejected') throw result.reason;
}

/**
 * Brings an image to a host that lacks it, from where it came from; one that has it is told what to keep of it.
 * @throws NotFound the file is not there | ImageUnusable | StorageFull | HostUnavailable
 */
export async function provideImage(deps: Deps, host: RegisteredHost, id: ImageId, signal: AbortSignal): Promise<void> {
  const row = await findImageOrder(deps.db, id);
  if (row?.state === 'available') await host.agent.importImage(await desiredImageOf(deps, row), { signal });
}
