// Checks of hosts.
import type { hostCheckRoutes } from '@virga/contract/rest/host-checks';
import { checkHost, repairHost, undoHostRepairs } from '../../modules/hosts/host-check-operations.ts';
import type { FrontDeps, Handlers } from '../handler.ts';

export function hostCheckHandlers(deps: FrontDeps): Pick<Handlers, keyof typeof hostCheckRoutes> {
  return {
    checkHost: ({ access, params, query, signal }) => checkHost(deps, access, params.id, query, signal),
    repairHost: ({ access, params, body }) => repairHost(deps, access, params.id, body.names),
    undoHostRepairs: ({ access, params, query }) => undoHostRepairs(deps, access, params.id, query),
  };
}
