// Handlers of the machine of an instance, and of the disc in its drive.
import type { instanceHardwareRoutes } from '@virga/contract/rest/instance-hardware-change';
import { changeCdrom, changeHardware } from '../../modules/instances/change-hardware.ts';
import type { FrontDeps, Handlers } from '../handler.ts';

export function hardwareHandlers(deps: FrontDeps): Pick<Handlers, keyof typeof instanceHardwareRoutes> {
  return {
    changeHardware: ({ access, params, body, ifMatch }) => changeHardware(deps, access, params.id, body, ifMatch),
    changeCdrom: ({ access, params, body, ifMatch }) => changeCdrom(deps, access, params.id, body, ifMatch),
  };
}
