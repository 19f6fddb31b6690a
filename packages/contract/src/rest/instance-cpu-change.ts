// Changing how the vCPUs of an instance run; of one that runs, while it runs.
import { route } from '../route.ts';
import { ChangeCpu, PinCpus } from './instance-cpu.ts';
import { InstanceChanged } from './instances.ts';
import { idParams } from './shared.ts';

export const instanceCpuRoutes = {
  changeCpu: route({
    method: 'POST',
    path: '/v1/instances/{id}/cpu',
    summary: 'Change CPU policy, shares and cap; a running guest is moved without a restart',
    access: { scope: 'project', role: 'operator' },
    params: idParams('instance'),
    body: ChangeCpu,
    ok: InstanceChanged,
    status: 202,
    ifMatch: true,
  }),
  pinInstance: route({
    method: 'PUT',
    path: '/v1/instances/{id}/host-cpus',
    summary: 'Give an instance these CPUs of its host for itself, and no others; also while it runs',
    access: { scope: 'cloud', role: 'admin' },
    params: idParams('instance'),
    body: PinCpus,
    ok: InstanceChanged,
    status: 202,
    ifMatch: true,
  }),
};
