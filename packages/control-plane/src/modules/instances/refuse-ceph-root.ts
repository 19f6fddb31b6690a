// What only a root disk can have that is a file of its host, refused of one in a pool of Ceph before anything is begun.
import { VirgaError } from '@virga/contract/errors';
import type { Db, Tx } from '../../store/database.ts';
import type { InstanceRow } from './instance-store.ts';
import { cephPoolOf } from './root-pool.ts';

/** What is not done there, and what can be done instead. */
const reasons = {
  images: [
    'and Virga makes images of disks that are files, and looks into no others',
    'Use rbd export while it is off, and virga images import of that file.',
  ],
  release: [
    'whose key libvirt has from Virga alone, so it cannot be released',
    'Leave it with Virga, or copy what is on it to an instance in another pool.',
  ],
} as const;

/** @throws Conflict */
export async function refuseCephRoot(
  db: Db | Tx,
  { name, root_pool_id: poolId }: Pick<InstanceRow, 'name' | 'root_pool_id'>,
  what: keyof typeof reasons,
): Promise<void> {
  const pool = await cephPoolOf(db, poolId);
  if (pool === undefined) return;
  const [why, action] = reasons[what];
  throw new VirgaError('Conflict', {
    detail: `The root disk of instance ${name} lies in the Ceph pool ${pool.name}, ${why}.`,
    action,
  });
}
