// Removes from a host the images of this cloud that no row owns, such as after a database was restored from a backup, or
// because the host was away when its image was deleted.
import type { SystemAccess } from '../../access/authorizer.ts';
import type { RegisteredHost } from '../../agents/agent-registry.ts';
import type { Deps } from '../../deps.ts';
import { appendEvent } from '../../events/event-log.ts';
import { inTransaction } from '../../store/database.ts';
import { provideImage } from './image-hosts.ts';
import { giveUpUpload } from './upload-operations.ts';

/** Without a further byte for that long, an image that is being sent is given up. */
const abandonedMs = 24 * 3_600_000;

export async function reapImages(
  deps: Deps,
  access: SystemAccess,
  host: RegisteredHost,
  signal: AbortSignal,
): Promise<void> {
  await reapUnfinished(deps, host, signal);
  await expireUploads(deps, access, host);
  const there = (await host.agent.listImages(deps.cloudId, { signal })).filter(
    (image) => image.cloudId === deps.cloudId,
  );
  if (there.length === 0) return;
  const ids = there.map(({ id }) => id);
  // Asked after the hosts were: an image has its row before it has a file.
  const owned = await deps.db.selectFrom('images').select('id').where('id', 'in', ids).execute();
  // Those of earlier versions know nothing of their rows.
  for (const image of there.filter(({ keepsake, id }) => !keepsake && owned.some((row) => row.id === id))) {
    await provideImage(deps, host, image.id, signal);
  }
  const orphans = ids.filter((id) => !owned.some((row) => row.id === id));
  for (const id of orphans) {
    await host.agent.deleteImage({ id, cloudId: deps.cloudId }, { signal });
    deps.log.warn({ image: id, host: host.name }, 'removed an image that no row owns');
    await inTransaction(deps.db, (tx) =>
      appendEvent(tx, access, {
        type: 'image.reaped',
        projectId: null,
        resourceId: id,
        message: `Image ${id} on host ${host.name} belonged to nothing and was removed.`,
      }),
    );
  }
}

/** What was being downloaded or sent for a row that is gone. */
async function reapUnfinished(deps: Deps, { agent, name }: RegisteredHost, signal: AbortSignal): Promise<void> {
  const ids = await agent.listUnfinishedImages(deps.cloudId, { signal });
  if (ids.length === 0) return;
  const owned = await deps.db.selectFrom('images').select('id').where('id', 'in', ids).execute();
  for (const id of ids.filter((candidate) => !owned.some((row) => row.id === candidate))) {
    await agent.deleteImage({ id, cloudId: deps.cloudId }, { signal });
    deps.log.warn({ image: id, host: name }, 'removed what had come of an image that no row owns');
  }
}

/** Nobody goes on sending them. */
async function expireUploads({ db, clock }: Deps, access: SystemAccess, host: RegisteredHost): Promise<void> {
  const stale = await db
    .selectFrom('image_imports')
    .select('image_id')
    .where('operation_id', 'is', null)
    .where('host_id', '=', host.id)
    .where('touched_at', '<', new Date(clock.now().getTime() - abandonedMs))
    .execute();
  for (const { image_id } of stale) {
    await inTransaction(db, async (tx) => {
      const row = await tx.selectFrom('images').selectAll().where('id', '=', image_id).forUpdate().executeTakeFirst();
      if (row?.state === 'pending') await giveUpUpload(tx, access, row);
    });
  }
}
