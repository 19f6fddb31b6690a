// Changing what an instance is called and what becomes of it, while it goes on as it is.
import { route } from '../route.ts';
import { UpdateInstance } from './instance-attributes.ts';
import { InstanceChanged } from './instances.ts';
import { idParams } from './shared.ts';

export const instanceUpdateRoutes = {
  updateInstance: route({
    method: 'PATCH',
    path: '/v1/instances/{id}',
    summary: 'Change name, description, tags and policies; what is left out stays as it is',
    access: { scope: 'project', role: 'operator' },
    params: idParams('instance'),
    body: UpdateInstance,
    ok: InstanceChanged,
    status: 202,
    ifMatch: true,
  }),
};
