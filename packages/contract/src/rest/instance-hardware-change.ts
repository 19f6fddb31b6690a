// Changing what the machine of an instance is made of, and what lies in its drive. What a running guest cannot have is
// refused before anything changes, unless a restart was asked for with it.
import { route } from '../route.ts';
import { ChangeCdrom, ChangeHardware } from './instance-hardware.ts';
import { InstanceChanged } from './instances.ts';
import { idParams } from './shared.ts';

const change = {
  access: { scope: 'project', role: 'operator' } as const,
  params: idParams('instance'),
  ok: InstanceChanged,
  status: 202 as const,
  ifMatch: true as const,
};

export const instanceHardwareRoutes = {
  changeHardware: route({
    ...change,
    method: 'PATCH',
    path: '/v1/instances/{id}/hardware',
    summary: 'Change devices, firmware, TPM, watchdog and boot order; what is left out stays as it is',
    body: ChangeHardware,
  }),
  changeCdrom: route({
    ...change,
    method: 'PUT',
    path: '/v1/instances/{id}/cdrom',
    summary: 'Insert an ISO image into the CD-ROM drive, or eject it',
    body: ChangeCdrom,
  }),
};
