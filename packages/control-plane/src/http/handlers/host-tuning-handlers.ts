// Handlers of the tuning of hosts: nothing but the way from a request to the operations of its module.
import type { hostTuningRoutes } from '@virga/contract/rest/host-tuning';
import { getHostTuning, planHostTuning, tuneHost, untuneHost } from '../../modules/hosts/host-tuning-operations.ts';
import type { FrontDeps, Handlers } from '../handler.ts';

export function hostTuningHandlers(deps: FrontDeps): Pick<Handlers, keyof typeof hostTuningRoutes> {
  return {
    getHostTuning: ({ access, params, signal }) => getHostTuning(deps, access, params.id, signal),
    planHostTuning: ({ access, params, body, signal }) => planHostTuning(deps, access, params.id, body.tuning, signal),
    tuneHost: ({ access, params, body }) => tuneHost(deps, access, params.id, body),
    untuneHost: ({ access, params }) => untuneHost(deps, access, params.id),
  };
}
