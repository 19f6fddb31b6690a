// Bytes of images on their way in, as a part of the agent.
import type { ImageFetching } from '@virga/contract/agent/image-fetching';
import type { AgentContext } from '../agent-context.ts';
import { receivedBytes, receiveImage } from './staging/receive-image.ts';
import { listStaged } from './staging/staged-file.ts';

export const imageFetching = (context: AgentContext): ImageFetching => ({
  receiveImage: (part, content, { signal } = {}) => receiveImage(context, part, content, signal),
  receivedBytes: (image) => receivedBytes(context, image),
  listUnfinishedImages: (cloudId) => listStaged(context.storage, cloudId),
});
