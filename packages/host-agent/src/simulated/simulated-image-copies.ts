// Root disks in Ceph pools of a simulated host, and the copies of images there that they rest on.
import type { DesiredInstance } from '@virga/contract/agent/desired';
import type { ImageCopyKeeping } from '@virga/contract/agent/image-copies';
import { VirgaError } from '@virga/contract/errors';
import type { Calls } from './call-steps.ts';
import type { StoredFolder } from './host-records.ts';
import type { SimulatedHost } from './simulated-host.ts';

const keyOf = (poolId: string, imageId: string): string => `${poolId} ${imageId}`;

export const simulatedImageCopies = ({ store }: SimulatedHost, calls: Calls): ImageCopyKeeping => ({
  listImageCopies: (cloudId, context) =>
    calls.run('listImageCopies', 'host', context, () =>
      store.imageCopies.all().filter((copy) => copy.cloudId === cloudId && store.pools.get(copy.poolId) !== undefined),
    ),
  deleteImageCopy: ({ poolId, imageId, cloudId }, context) =>
    calls.run('deleteImageCopy', imageId, context, () => {
      if (store.imageCopies.get(keyOf(poolId, imageId))?.cloudId !== cloudId) return;
      const rests = ({ owner }: StoredFolder) =>
        owner.ceph?.poolId === poolId && owner.imageId === imageId && !owner.copied;
      const disk = store.folders.all().find(rests)?.owner.ceph;
      if (disk !== undefined) {
        throw new VirgaError('InUse', {
          detail: `The disk ${disk.id} rests on the copy of the image ${imageId}.`,
          action: 'Delete its instance first.',
        });
      }
      store.imageCopies.delete(keyOf(poolId, imageId));
    }),
});

const cephPoolOf = ({ store }: SimulatedHost, { pool }: Pick<DesiredInstance['rootDisk'], 'pool'>) =>
  pool !== undefined && store.pools.get(pool)?.place.driver === 'rbd' ? pool : undefined;

/** What the folder of an instance says of its root disk. */
export function ownDisk(
  host: SimulatedHost,
  rootDisk: DesiredInstance['rootDisk'],
): Pick<StoredFolder['owner'], 'ceph' | 'copied'> {
  const poolId = cephPoolOf(host, rootDisk);
  return {
    ...(poolId && { ceph: { poolId, id: rootDisk.id } }),
    ...(rootDisk.clone === 'full' && { copied: true }),
  };
}

/** With the first disk that rests on it. */
export function copyImage(host: SimulatedHost, { cloudId, rootDisk }: DesiredInstance): void {
  const poolId = cephPoolOf(host, rootDisk);
  const { imageId, clone } = rootDisk;
  if (poolId === undefined || imageId === null || clone === 'full') return;
  host.store.imageCopies.set(keyOf(poolId, imageId), { poolId, imageId, cloudId });
}
