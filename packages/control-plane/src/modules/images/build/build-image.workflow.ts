// Has a host make an image, and then lets people launch from it. When it cannot be made, nothing of it stays: no file on the
// host and no row.
import type { BuiltImage, ImageOrder } from '@virga/contract/agent/image-building';
import type { ImageId } from '@virga/contract/ids';
import { type ActContext, step, workflow } from '../../../workflows/workflow.ts';
import { desiredImageOf, findImageOrder, removeFromHosts } from '../image-hosts.ts';
import { requireBuild } from './build-store.ts';

type Input = { imageId: ImageId };
export const buildImageKind = 'image.build';

export const buildImage = workflow<Input>({
  kind: buildImageKind,
  isLong: true,
  steps: [
    step<Input, BuiltImage>({
      message: 'making the image',
      act: make,
      record: async (tx, { input }, { image, path, record }) => {
        const { virtualSizeBytes, fileSizeBytes, sha256 } = image;
        await tx
          .updateTable('images')
          .set({
            virtual_size_bytes: virtualSizeBytes,
            file_size_bytes: fileSizeBytes,
            sha256,
            source: JSON.stringify({ kind: 'file', path }),
          })
          .where('id', '=', input.imageId)
          .execute();
        await tx
          .updateTable('image_builds')
          .set({ record: JSON.stringify(record) })
          .where('image_id', '=', input.imageId)
          .execute();
      },
      undo: removeFromHosts,
    }),
    step<Input>({
      message: 'making the image available',
      act: tellHost,
      record: async (tx, { input }) => {
        await tx.updateTable('images').set({ state: 'available' }).where('id', '=', input.imageId).execute();
      },
    }),
  ],
  failed: async (tx, { input }) => {
    await tx.deleteFrom('images').where('id', '=', input.imageId).execute();
  },
});

async function make({ deps, input, signal, onProgress }: ActContext<Input>): Promise<BuiltImage> {
  const { made_from: from, seal, host_id } = await requireBuild(deps.db, input.imageId);
  const row = await findImageOrder(deps.db, input.imageId);
  if (row === undefined) throw new Error(`image ${input.imageId} has no row`);
  const { keepsake } = await desiredImageOf(deps, row);
  const order: ImageOrder = { id: input.imageId, cloudId: deps.cloudId, from, seal, keepsake };
  return deps.agents.agentOf(host_id).buildImage(order, { signal, onProgress });
}

/** What its host keeps of it has to know where it lies by now. */
async function tellHost({ deps, input, signal }: ActContext<Input>): Promise<void> {
  const { host_id } = await requireBuild(deps.db, input.imageId);
  const row = await findImageOrder(deps.db, input.imageId);
  if (row !== undefined) await deps.agents.agentOf(host_id).importImage(await desiredImageOf(deps, row), { signal });
}
