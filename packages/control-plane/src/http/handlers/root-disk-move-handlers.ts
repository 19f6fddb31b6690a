// Moves of root disks between pools.
import type { rootDiskMoveRoutes } from '@virga/contract/rest/root-disk-moves';
import { cancelRootDiskMove, moveRootDisk } from '../../modules/instances/move-root-disk.ts';
import type { FrontDeps, Handlers } from '../handler.ts';

export function rootDiskMoveHandlers(deps: FrontDeps): Pick<Handlers, keyof typeof rootDiskMoveRoutes> {
  return {
    moveRootDisk: ({ access, params, body, ifMatch }) => moveRootDisk(deps, access, params.id, body, ifMatch),
    cancelRootDiskMove: ({ access, params }) => cancelRootDiskMove(deps, access, params.id),
  };
}
