// Other sizes for an instance that exists. What the running guest cannot take is refused before anything changes, unless
// a restart was asked for with it.
import { type Static, Type } from 'typebox';
import { route } from '../route.ts';
import { InstanceChanged } from './instances.ts';
import { idParams, Name } from './shared.ts';

const Vcpus = Type.Integer({ minimum: 1, maximum: 512, description: 'instead of those of the type' });
const MemoryMib = Type.Integer({ minimum: 64, maximum: 16_777_216, description: 'instead of that of the type' });

export const ResizeInstance = Type.Object(
  {
    type: Type.Optional(Name),
    vcpus: Type.Optional(Vcpus),
    memoryMib: Type.Optional(MemoryMib),
    maxVcpus: Type.Optional(
      Type.Integer({ minimum: 1, maximum: 512, description: 'up to here vCPUs can be added while it runs' }),
    ),
    maxMemoryMib: Type.Optional(
      Type.Integer({ minimum: 64, maximum: 16_777_216, description: 'up to here memory can be added while it runs' }),
    ),
    diskGib: Type.Optional(
      Type.Integer({ minimum: 1, maximum: 65_536, description: 'of the root disk; it only grows' }),
    ),
    restart: Type.Optional(
      Type.Boolean({
        description: 'shut the guest down and start it with the new size, when it cannot change while it runs',
      }),
    ),
  },
  { $id: 'ResizeInstance', additionalProperties: false },
);
export type ResizeInstance = Static<typeof ResizeInstance>;

export const instanceResizeRoutes = {
  resizeInstance: route({
    method: 'POST',
    path: '/v1/instances/{id}/resize',
    summary: 'Change vCPUs, memory and root disk, while it runs where that is possible',
    access: { scope: 'project', role: 'operator' },
    params: idParams('instance'),
    body: ResizeInstance,
    ok: InstanceChanged,
    status: 202,
    ifMatch: true,
  }),
};
