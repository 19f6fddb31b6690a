// Moves of volumes between pools.
import type { volumeMoveRoutes } from '@virga/contract/rest/volume-moves';
import { cancelVolumeMove, moveVolume } from '../../modules/volumes/move-volume.ts';
import type { FrontDeps, Handlers } from '../handler.ts';

export function volumeMoveHandlers(deps: FrontDeps): Pick<Handlers, keyof typeof volumeMoveRoutes> {
  return {
    moveVolume: ({ access, params, body, ifMatch, idempotency }) =>
      moveVolume(deps, access, params.id, body, { ifMatch, idempotency }),
    cancelVolumeMove: ({ access, params }) => cancelVolumeMove(deps, access, params.id),
  };
}
