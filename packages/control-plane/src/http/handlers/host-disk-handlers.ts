// Disks of hosts.
import type { hostDiskRoutes } from '@virga/contract/rest/host-disks';
import { allowVolatileWriteback, forbidVolatileWriteback, listHostDisks } from '../../modules/hosts/host-disks.ts';
import type { FrontDeps, Handlers } from '../handler.ts';

export function hostDiskHandlers(deps: FrontDeps): Pick<Handlers, keyof typeof hostDiskRoutes> {
  return {
    listHostDisks: ({ access, params }) => listHostDisks(deps, access, params.id),
    allowVolatileWriteback: ({ access, params }) => allowVolatileWriteback(deps, access, params.id, params.device),
    forbidVolatileWriteback: ({ access, params }) => forbidVolatileWriteback(deps, access, params.id, params.device),
  };
}
