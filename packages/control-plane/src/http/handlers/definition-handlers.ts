// How domains are defined, and what others make of that.
import type { definitionRoutes } from '@virga/contract/rest/definition-routes';
import { getDefinition, getDrift, setDriftPolicy, setOverlay } from '../../modules/instances/definition-operations.ts';
import type { FrontDeps, Handlers } from '../handler.ts';

export function definitionHandlers(deps: FrontDeps): Pick<Handlers, keyof typeof definitionRoutes> {
  return {
    getDefinition: ({ access, params }) => getDefinition(deps, access, params.id),
    setOverlay: ({ access, params, body, ifMatch }) => setOverlay(deps, access, params.id, body, ifMatch),
    getDrift: ({ access, params }) => getDrift(deps, access, params.id),
    setDriftPolicy: ({ access, params, body }) => setDriftPolicy(deps, access, params.id, body.policy),
  };
}
