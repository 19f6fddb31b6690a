// Attaching and detaching volumes and network interfaces, and their limits; of a guest that runs, while it runs.
import { Type } from 'typebox';
import { DiskDriver, DiskLimits, NicLimits } from '../agent/desired.ts';
import { IdSchema } from '../ids.ts';
import { route } from '../route.ts';
import { InstanceChanged } from './instances.ts';
import { idParams } from './shared.ts';

const change = {
  access: { scope: 'project', role: 'operator' },
  ok: InstanceChanged,
  status: 202,
  ifMatch: true,
} as const;

const volumeParams = Type.Object({ id: IdSchema('instance'), volumeId: IdSchema('volume') });
const nicParams = Type.Object({ id: IdSchema('instance'), nicId: IdSchema('networkInterface') });

export const instanceDeviceRoutes = {
  attachVolume: route({
    ...change,
    method: 'POST',
    path: '/v1/instances/{id}/volumes',
    summary: 'Attach a volume; asking again for what is being detached takes that back',
    params: idParams('instance'),
    body: Type.Object(
      {
        volume: Type.String({ minLength: 1, maxLength: 64, description: 'volume id or name' }),
        readOnly: Type.Optional(Type.Boolean()),
        limits: Type.Optional(DiskLimits),
        driver: Type.Optional(DiskDriver),
      },
      { additionalProperties: false },
    ),
  }),
  detachVolume: route({
    ...change,
    method: 'DELETE',
    path: '/v1/instances/{id}/volumes/{volumeId}',
    summary: 'Detach a volume, as soon as the guest lets go of it',
    params: volumeParams,
  }),
  addNetworkInterface: route({
    ...change,
    method: 'POST',
    path: '/v1/instances/{id}/network-interfaces',
    summary: 'Add a network interface with an address of its own',
    params: idParams('instance'),
    body: Type.Object(
      {
        network: Type.String({ minLength: 1, maxLength: 64, description: 'network id or name' }),
        address: Type.Optional(Type.String({ maxLength: 15, description: 'IPv4; default the next free one' })),
        limits: Type.Optional(NicLimits),
      },
      { additionalProperties: false },
    ),
  }),
  removeNetworkInterface: route({
    ...change,
    method: 'DELETE',
    path: '/v1/instances/{id}/network-interfaces/{nicId}',
    summary: 'Remove a network interface, as soon as the guest lets go of it, and free its address',
    params: nicParams,
  }),
  limitDisk: route({
    ...change,
    method: 'PUT',
    path: '/v1/instances/{id}/disks/{volumeId}/limits',
    summary: 'Limit a volume or the root disk; what is left out is unlimited',
    params: volumeParams,
    body: DiskLimits,
  }),
  setDiskDriver: route({
    ...change,
    method: 'PUT',
    path: '/v1/instances/{id}/disks/{volumeId}/driver',
    summary:
      'Say how QEMU reads and writes a volume or the root disk, as of the next start; what is left out is as usual',
    params: volumeParams,
    body: Type.Object(
      {
        driver: DiskDriver,
        restart: Type.Optional(Type.Boolean({ description: 'shut the guest down and start it with the change' })),
      },
      { additionalProperties: false },
    ),
  }),
  limitNetworkInterface: route({
    ...change,
    method: 'PUT',
    path: '/v1/instances/{id}/network-interfaces/{nicId}/limits',
    summary: 'Limit a network interface; what is left out is unlimited',
    params: nicParams,
    body: NicLimits,
  }),
};
