// Suspend, resume, hibernate and reset.
import type { instancePowerRoutes } from '@virga/contract/rest/instance-power';
import {
  hibernateInstance,
  resetInstance,
  resumeInstance,
  suspendInstance,
} from '../../modules/instances/power-operations.ts';
import type { FrontDeps, Handlers } from '../handler.ts';

export function powerHandlers(deps: FrontDeps): Pick<Handlers, keyof typeof instancePowerRoutes> {
  return {
    suspendInstance: ({ access, params, ifMatch }) => suspendInstance(deps, access, params.id, ifMatch),
    resumeInstance: ({ access, params, ifMatch }) => resumeInstance(deps, access, params.id, ifMatch),
    hibernateInstance: ({ access, params, ifMatch }) => hibernateInstance(deps, access, params.id, ifMatch),
    resetInstance: ({ access, params, ifMatch }) => resetInstance(deps, access, params.id, ifMatch),
  };
}
