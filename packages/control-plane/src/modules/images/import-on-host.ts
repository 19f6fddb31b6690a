// Has a host fetch an image that is downloaded or was sent, until it is there, fails for good, or is cancelled.
import type { ObservedImage } from '@virga/contract/agent/observed';
import { VirgaError } from '@virga/contract/errors';
import type { ImageId } from '@virga/contract/ids';
import { untilCancelled } from '../../workflows/until-cancelled.ts';
import type { ActContext } from '../../workflows/workflow.ts';
import { desiredImageOf, type ImageOrder } from './image-hosts.ts';

/** @throws Conflict it was cancelled | what the host says */
export async function importOnHost(
  context: ActContext<{ imageId: ImageId }>,
  order: ImageOrder,
): Promise<ObservedImage> {
  const { deps, input, onProgress } = context;
  const importRow = () =>
    deps.db
      .selectFrom('image_imports')
      .select(['host_id', 'is_cancelled'])
      .where('image_id', '=', input.imageId)
      .executeTakeFirstOrThrow();
  const isCancelled = async () => (await importRow()).is_cancelled;
  return untilCancelled(
    context,
    { channel: 'imports', id: input.imageId, isCancelled, error: cancelled },
    async (signal) => {
      const { host_id: hostId } = await importRow();
      return deps.agents.agentOf(hostId).importImage(await desiredImageOf(deps, order), { signal, onProgress });
    },
  );
}

const cancelled = (cause: unknown) =>
  new VirgaError('Conflict', {
    detail: 'The import was cancelled.',
    action: 'Nothing needs to be done: nothing of it is left.',
    cause,
  });
