// Tells the hosts that have an image that its row has changed, so that what they keep of it can rebuild the row as it is.
import type { ImageId } from '@virga/contract/ids';
import { type ActContext, step, workflow } from '../../workflows/workflow.ts';
import { provideImage } from './image-hosts.ts';

type Input = { imageId: ImageId };
export const shareImageKind = 'image.update';

export const shareImage = workflow<Input>({
  kind: shareImageKind,
  steps: [step<Input>({ message: 'telling the hosts', act: tellHosts })],
});

async function tellHosts({ deps, input, signal }: ActContext<Input>): Promise<void> {
  for (const host of deps.agents.all()) {
    const images = await host.agent.listImages(deps.cloudId, { signal });
    if (images.some(({ id }) => id === input.imageId)) await provideImage(deps, host, input.imageId, signal);
  }
}
