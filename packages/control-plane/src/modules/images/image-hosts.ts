// Images on hosts: bringing one there, and taking it away.
import type { DesiredImage } from '@virga/contract/agent/desired';
import type { ImageId } from '@virga/contract/ids';
import type { RegisteredHost } from '../../agents/agent-registry.ts';
import type { Deps } from '../../deps.ts';
import type { ActContext } from '../../workflows/workflow.ts';
import type { ImageRow } from './image-store.ts';

export function desiredImageOf(row: ImageRow, cloudId: string): DesiredImage {
  return { id: row.id, cloudId, generation: 1, source: row.source, format: row.format };
}

/** Removes the image from every host. @throws HostUnavailable one could not be reached; the others no longer have it */
export async function removeFromHosts({ deps, input, signal }: ActContext<{ imageId: ImageId }>): Promise<void> {
  const image = { id: input.imageId, cloudId: deps.cloudId };
  const results = await Promise.allSettled(deps.agents.all().map(({ agent }) => agent.deleteImage(image, { signal })));
  for (const result of results) if (result.status === 'rejected') throw result.reason;
}

/**
 * Brings an image to a host that lacks it, from the file that it was registered from.
 * @throws NotFound the file is not there | ImageUnusable | StorageFull | HostUnavailable
 */
export async function provideImage(deps: Deps, host: RegisteredHost, id: ImageId, signal: AbortSignal): Promise<void> {
  const row = await deps.db.selectFrom('images').selectAll().where('id', '=', id).executeTakeFirst();
  if (row?.state === 'available') await host.agent.importImage(desiredImageOf(row, deps.cloudId), { signal });
}
