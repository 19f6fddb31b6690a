// Has a host fetch an image that is downloaded or was sent, until it is there, fails for good, or is cancelled.
import type { ObservedImage } from '@virga/contract/agent/observed';
import { VirgaError } from '@virga/contract/errors';
import type { ImageId } from '@virga/contract/ids';
import type { ActContext } from '../../workflows/workflow.ts';
import { desiredImageOf, type ImageOrder } from './image-hosts.ts';

/** @throws Conflict it was cancelled | what the host says */
export async function importOnHost(
  { deps, input, signal, onProgress }: ActContext<{ imageId: ImageId }>,
  order: ImageOrder,
): Promise<ObservedImage> {
  const cancelling = new AbortController();
  const look = async () => {
    const row = await deps.db
      .selectFrom('image_imports')
      .select(['host_id', 'is_cancelled'])
      .where('image_id', '=', input.imageId)
      .executeTakeFirstOrThrow();
    if (row.is_cancelled) cancelling.abort();
    return row;
  };
  const unsubscribe = [
    deps.notifications.subscribe('imports', (id) => id === input.imageId && cancelling.abort()),
    deps.notifications.onReconnected(() => void look().catch(() => {})),
  ];
  try {
    const { host_id } = await look();
    cancelling.signal.throwIfAborted();
    return await deps.agents.agentOf(host_id).importImage(await desiredImageOf(deps, order), {
      signal: AbortSignal.any([signal, cancelling.signal]),
      onProgress,
    });
  } catch (error) {
    if (signal.aborted || !cancelling.signal.aborted) throw error;
    throw new VirgaError('Conflict', {
      detail: 'The import was cancelled.',
      action: 'Nothing needs to be done: nothing of it is left.',
      cause: error,
    });
  } finally {
    for (const stop of unsubscribe) stop();
  }
}
