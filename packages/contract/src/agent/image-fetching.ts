// Bytes of images on their way into a host's store. What has come is kept under the image's id until the image is imported
// or deleted, also over a restart of the agent.
import type { Readable } from 'node:stream';
import type { ImageId } from '../ids.ts';
import type { CallContext } from './call-context.ts';

export type ImagePart = { id: ImageId; cloudId: string; offsetBytes: number; sizeBytes: number };

export interface ImageFetching {
  /**
   * Takes the bytes of an image from `offsetBytes` on, which is where the last part ended. What came before the stream broke
   * off stays.
   * @param part `sizeBytes`: of the whole image, more than which is not taken
   * @returns how much is there now
   * @throws Conflict it is to begin somewhere else, or the image is already being imported; retryable is what it says
   * @throws PayloadTooLarge more than the whole | StorageFull
   */
  receiveImage(part: ImagePart, content: Readable, context?: CallContext): Promise<number>;
  /** How much of an image has come. 0 when nothing has. */
  receivedBytes(image: { id: ImageId; cloudId: string }, context?: CallContext): Promise<number>;
  /** Images of this cloud of which something has come that is not an image yet. They go with `deleteImage`. */
  listUnfinishedImages(cloudId: string, context?: CallContext): Promise<ImageId[]>;
}
