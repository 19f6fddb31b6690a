// The disks of hosts, and on which of them an administrator allows write-back in spite of what they say.
import { type Static, Type } from 'typebox';
import { HostDisks } from '../agent/block-devices.ts';
import { IdSchema } from '../ids.ts';
import { route } from '../route.ts';
import { idParams, Time } from './shared.ts';

/** Remembered by what stays the same after a reboot, where the device has that. */
export const AllowedWriteback = Type.Object({
  device: Type.String({ description: 'what it was called when it was allowed' }),
  key: Type.String({ description: 'its WWN or serial number, or its name where it has neither' }),
  allowedBy: Type.String(),
  allowedAt: Time,
});
export type AllowedWriteback = Static<typeof AllowedWriteback>;

export const HostDiskReport = Type.Object(
  {
    hostId: IdSchema('host'),
    hostName: Type.String(),
    ...HostDisks.properties,
    allowedWriteback: Type.Array(AllowedWriteback),
  },
  { $id: 'HostDiskReport' },
);
export type HostDiskReport = Static<typeof HostDiskReport>;

const allowance = {
  access: { scope: 'cloud', role: 'admin' },
  path: '/v1/hosts/{id}/disks/{device}/volatile-writeback',
  params: Type.Object({
    id: IdSchema('host'),
    device: Type.String({ minLength: 1, maxLength: 128, description: 'name, such as nvme0n1, or key' }),
  }),
  ok: Type.Object({ items: Type.Array(AllowedWriteback) }),
} as const;

export const hostDiskRoutes = {
  listHostDisks: route({
    method: 'GET',
    path: '/v1/hosts/{id}/disks',
    summary:
      'The disks of a host: kind, scheduler, write cache, and whether what they acknowledge outlives a power cut',
    access: { scope: 'cloud', role: 'viewer' },
    params: idParams('host'),
    ok: HostDiskReport,
  }),
  allowVolatileWriteback: route({
    ...allowance,
    method: 'PUT',
    summary: 'Allow the cache mode writeback on a device of a host that could lose acknowledged data in a power cut',
  }),
  forbidVolatileWriteback: route({
    ...allowance,
    method: 'DELETE',
    summary: 'Take that back; what runs goes on, and is refused at its next start',
  }),
};
