// How much of a host's memory and processors may be promised, and where its memory is: for the whole host, each project and
// each instance.
import { type Static, Type } from 'typebox';
import { GuestMemory, HostMemory } from '../agent/host-memory.ts';
import { IdSchema } from '../ids.ts';
import { route } from '../route.ts';
import { Host } from './hosts.ts';
import { idParams, Nullable } from './shared.ts';

/**
 * Whose guests the kernel may merge equal pages of. Merging can be felt: who writes to a page and measures how long that
 * takes knows whether somebody else has the same.
 */
export const KsmScope = Type.Union([
  Type.Literal('project', { description: 'of one project at a time on each host' }),
  Type.Literal('host', { description: 'of all projects with each other' }),
  Type.Literal('never'),
]);
export type KsmScope = Static<typeof KsmScope>;

export const UpdateHost = Type.Object(
  {
    vcpuOvercommit: Type.Optional(
      Nullable(Type.Number({ minimum: 0.1, maximum: 64, description: 'vCPUs promised for each thread' })),
    ),
    memoryOvercommit: Type.Optional(
      Nullable(Type.Number({ minimum: 0.1, maximum: 16, description: 'how many times over memory is promised' })),
    ),
    memoryFloorMib: Type.Optional(
      Nullable(
        Type.Integer({
          minimum: 0,
          maximum: 16_777_216,
          description: 'available memory below which nothing is started there, and guests are asked to do with less',
        }),
      ),
    ),
    ksmScope: Type.Optional(Nullable(KsmScope)),
  },
  { $id: 'UpdateHost', additionalProperties: false, description: 'null: as the cloud has it' },
);
export type UpdateHost = Static<typeof UpdateHost>;

const sum = (description: string) => Nullable(Type.Integer({ minimum: 0, description }));

/** What guests have and save together; null where a part of it is not known. */
const together = {
  guests: Type.Integer({ description: 'that are on' }),
  promisedKib: Type.Integer(),
  currentKib: Type.Integer({ description: 'without what balloons took' }),
  residentKib: sum('really taken of the host, shared or not'),
  hugePagesKib: Type.Integer(),
  templateSavedKib: sum('saved by memory that copies have in common with their template'),
  mergedKib: sum('in pages that the kernel has merged, each counted whole'),
  mergeSavedKib: sum('their part of what merging saves on the host'),
};

export const HostMemoryReport = Type.Object(
  {
    hostId: IdSchema('host'),
    hostName: Type.String(),
    totalKib: Type.Integer(),
    availableKib: Type.Integer(),
    swapUsedKib: Type.Integer(),
    floorMib: Type.Integer(),
    memoryOvercommit: Type.Number(),
    ksm: HostMemory.properties.ksm,
    ksmScope: KsmScope,
    mergingProject: Nullable(
      Type.Object({ id: IdSchema('project'), name: Type.String() }, { description: 'whose guests may be merged now' }),
    ),
    hugePages: Type.Array(
      Type.Object({
        sizeKib: Type.Integer(),
        total: Type.Integer(),
        free: Type.Integer(),
        promised: Type.Integer({ description: 'to instances' }),
      }),
    ),
    relievingSince: Nullable(Type.String({ format: 'date-time', description: 'guests lend memory since then' })),
    ...together,
    projects: Type.Array(Type.Object({ projectId: IdSchema('project'), projectName: Type.String(), ...together })),
    instances: Type.Array(
      Type.Object({
        ...Type.Omit(GuestMemory, ['cloudId']).properties,
        name: Type.String(),
        projectId: IdSchema('project'),
        projectName: Type.String(),
        mergeSavedKib: sum('its part of what merging saves on the host'),
      }),
    ),
  },
  { $id: 'HostMemoryReport' },
);
export type HostMemoryReport = Static<typeof HostMemoryReport>;

export const hostMemoryRoutes = {
  getHostMemory: route({
    method: 'GET',
    path: '/v1/hosts/{id}/memory',
    summary: 'Where the memory of a host is, and what sharing saves: for the host, each project and each instance',
    access: { scope: 'cloud', role: 'viewer' },
    params: idParams('host'),
    ok: HostMemoryReport,
  }),
  updateHost: route({
    method: 'PATCH',
    path: '/v1/hosts/{id}',
    summary: 'Change how much of a host may be promised, and whose memory may be merged there',
    access: { scope: 'cloud', role: 'admin' },
    params: idParams('host'),
    body: UpdateHost,
    ok: Host,
  }),
};
