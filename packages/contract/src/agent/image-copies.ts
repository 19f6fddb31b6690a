// Copies of images in pools of Ceph, which root disks there are clones of. A host makes one when the first such disk is made;
// what nothing rests on any more is removed when it is asked to.
import type { ImageId, PoolId } from '../ids.ts';
import type { CallContext } from './call-context.ts';

export type ImageCopy = { poolId: PoolId; imageId: ImageId; cloudId: string };

/** The part of a host agent that looks after copies of images in pools. */
export interface ImageCopyKeeping {
  /** Those in every Ceph pool of this cloud that the host knows and can reach. Hosts of one pool tell of the same. */
  listImageCopies(cloudId: string, context?: CallContext): Promise<ImageCopy[]>;
  /** Nothing there is success. @throws InUse a disk rests on it | PoolUnusable | HostUnavailable retry later */
  deleteImageCopy(copy: ImageCopy, context?: CallContext): Promise<void>;
}
