// Copies an image from a file to every host that can be reached, or has one host fetch it, and then lets people launch from it.
// When it cannot be used, nothing of it stays: no file on a host and no row.
import type { ObservedImage } from '@virga/contract/agent/observed';
import { VirgaError } from '@virga/contract/errors';
import type { ImageId } from '@virga/contract/ids';
import { type ActContext, step, workflow } from '../../workflows/workflow.ts';
import { desiredImageOf, findImageOrder, type ImageOrder, removeFromHosts } from './image-hosts.ts';
import { importOnHost } from './import-on-host.ts';

type Input = { imageId: ImageId };
export const importImageKind = 'image.import';

export const importImage = workflow<Input>({
  kind: importImageKind,
  isLong: true,
  steps: [
    step<Input, ObservedImage>({
      message: 'copying the image',
      act: bringIn,
      record: async (tx, { input }, { virtualSizeBytes, fileSizeBytes, sha256, verification }) => {
        const found = verification ? { verification: JSON.stringify(verification) } : {};
        await tx
          .updateTable('images')
          .set({ virtual_size_bytes: virtualSizeBytes, file_size_bytes: fileSizeBytes, sha256, ...found })
          .where('id', '=', input.imageId)
          .execute();
      },
      undo: removeFromHosts,
    }),
    step<Input>({
      message: 'making the image available',
      record: async (tx, { input }) => {
        await tx.updateTable('images').set({ state: 'available' }).where('id', '=', input.imageId).execute();
        await tx.deleteFrom('image_imports').where('image_id', '=', input.imageId).execute();
      },
    }),
  ],
  failed: async (tx, { input }) => {
    await tx.deleteFrom('images').where('id', '=', input.imageId).execute();
  },
});

async function bringIn(context: ActContext<Input>): Promise<ObservedImage> {
  const { deps, input } = context;
  const row = await findImageOrder(deps.db, input.imageId);
  if (row === undefined) throw new Error(`image ${input.imageId} has no row`);
  return row.source.kind === 'file' ? copyToHosts(context, row) : importOnHost(context, row);
}

/**
 * The file is on one host, or on storage that several see: a host without it gets the image when an instance needs it
 * there.
 */
async function copyToHosts({ deps, signal, onProgress }: ActContext<Input>, row: ImageOrder): Promise<ObservedImage> {
  const desired = await desiredImageOf(deps, row);
  const results = await Promise.allSettled(
    deps.agents.all().map(({ agent }) => agent.importImage(desired, { signal, onProgress })),
  );
  const imported = results.find((result) => result.status === 'fulfilled');
  const errors = results.flatMap((result) => (result.status === 'rejected' ? [result.reason] : []));
  const isElsewhere = (error: unknown) =>
    error instanceof VirgaError && (error.code === 'HostUnavailable' || (error.code === 'NotFound' && imported));
  const refusal = errors.find((error) => !isElsewhere(error));
  if (refusal) throw refusal;
  if (imported) return imported.value;
  throw errors.at(0) ?? new VirgaError('HostUnavailable', { detail: 'The cloud has no host.', action: 'Add one.' });
}
