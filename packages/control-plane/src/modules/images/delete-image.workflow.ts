// Removes an image from every host, then its row. A host that is away is waited for. When a host refuses, the image stays
// as failed, and can be deleted again.
import type { ImageId } from '@virga/contract/ids';
import { step, workflow } from '../../workflows/workflow.ts';
import { removeFromHosts } from './image-hosts.ts';

type Input = { imageId: ImageId };
export const deleteImageKind = 'image.delete';

export const deleteImageWorkflow = workflow<Input>({
  kind: deleteImageKind,
  steps: [
    step<Input>({
      message: 'removing the image from the hosts',
      act: removeFromHosts,
      record: async (tx, { input }) => {
        await tx.deleteFrom('images').where('id', '=', input.imageId).execute();
      },
    }),
  ],
  failed: async (tx, { input }, error) => {
    await tx
      .updateTable('images')
      .set({ state: 'failed', state_reason: `It could not be deleted: ${error.detail}` })
      .where('id', '=', input.imageId)
      .execute();
  },
});
