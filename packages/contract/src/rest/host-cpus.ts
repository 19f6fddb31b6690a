// The CPUs of hosts: who has which, what runs where, what the host keeps for itself, and the CPU model that guests see.
import { type Static, Type } from 'typebox';
import { GuestCpuModel, GuestThread } from '../agent/cpu-map.ts';
import { HostCpu } from '../agent/host-facts.ts';
import { IdSchema } from '../ids.ts';
import { route } from '../route.ts';
import { idParams, Nullable } from './shared.ts';

export const CpuPool = Type.Union([
  Type.Literal('shared', { description: 'of all instances that have none for themselves' }),
  Type.Literal('reserved', { description: "the host's own; threads of QEMU run there too, vCPUs never" }),
  Type.Literal('dedicated', { description: 'of one instance' }),
  Type.Literal('isolated', { description: 'kept free by the kernel, for instances of that policy' }),
]);
export type CpuPool = Static<typeof CpuPool>;

const Owner = Type.Object({ instanceId: IdSchema('instance'), name: Type.String(), projectId: IdSchema('project') });

export const HostCpuUse = Type.Object({
  ...HostCpu.properties,
  pool: CpuPool,
  owner: Nullable(Owner),
  vcpu: Nullable(Type.Integer({ description: 'of its owner; null: left idle beside one that is used' })),
  busyPercent: Type.Number({ description: 'by whatever runs on the host' }),
});
export type HostCpuUse = Static<typeof HostCpuUse>;

export const HostCpuReport = Type.Object(
  {
    hostId: IdSchema('host'),
    hostName: Type.String(),
    sampleMs: Type.Integer({ description: 'for how long it was looked at' }),
    converged: Type.Boolean({ description: 'the host has been told of the last change of its pools' }),
    cpus: Type.Array(HostCpuUse),
    guests: Type.Array(
      Type.Object({
        instanceId: Nullable(IdSchema('instance')),
        name: Type.String({ description: 'of the instance, or of the domain when it is somebody else’s' }),
        pid: Type.Integer(),
        threads: Type.Array(GuestThread),
      }),
    ),
  },
  { $id: 'HostCpuReport' },
);
export type HostCpuReport = Static<typeof HostCpuReport>;

export const ReserveCpus = Type.Object(
  {
    cpus: Type.Array(Type.Integer({ minimum: 0, maximum: 8191 }), {
      maxItems: 8192,
      description: 'all that it keeps for itself; none: nothing',
    }),
  },
  { $id: 'ReserveCpus', additionalProperties: false },
);
export type ReserveCpus = Static<typeof ReserveCpus>;

export const CpuBaseline = Type.Object(
  {
    /** What guests are given; null: each host gives its own. */
    model: Nullable(GuestCpuModel),
    /** What the hosts that answered can all give. */
    baseline: Nullable(GuestCpuModel),
    hosts: Type.Array(
      Type.Object({
        hostId: IdSchema('host'),
        hostName: Type.String(),
        cpu: Nullable(Type.String({ description: 'the model that it could give by itself; null: it did not answer' })),
        canGive: Nullable(Type.Boolean({ description: 'the model that guests are given' })),
      }),
    ),
  },
  { $id: 'CpuBaseline' },
);
export type CpuBaseline = Static<typeof CpuBaseline>;

export const hostCpuRoutes = {
  getHostCpus: route({
    method: 'GET',
    path: '/v1/hosts/{id}/cpus',
    summary: 'Who has which CPU of a host, and which thread of which guest runs where',
    access: { scope: 'cloud', role: 'viewer' },
    params: idParams('host'),
    query: Type.Object({
      sampleMs: Type.Optional(Type.Integer({ minimum: 50, maximum: 10_000, default: 500 })),
    }),
    ok: HostCpuReport,
  }),
  reserveHostCpus: route({
    method: 'PUT',
    path: '/v1/hosts/{id}/reserved-cpus',
    summary: 'Set which CPUs a host keeps for itself; guests that share leave them while they run',
    access: { scope: 'cloud', role: 'admin' },
    params: idParams('host'),
    body: ReserveCpus,
    ok: Type.Object({ reserved: Type.Array(Type.Integer()) }),
  }),
  getCpuBaseline: route({
    method: 'GET',
    path: '/v1/cpu-baseline',
    summary: 'The CPU model that all hosts can give their guests, and the one that is given',
    access: { scope: 'cloud', role: 'viewer' },
    ok: CpuBaseline,
  }),
  setCpuBaseline: route({
    method: 'PUT',
    path: '/v1/cpu-baseline',
    summary: 'Give guests the model that all hosts can give, or that of their host; as of their next start',
    access: { scope: 'cloud', role: 'admin' },
    body: Type.Object(
      { use: Type.Union([Type.Literal('baseline'), Type.Literal('host')]) },
      { additionalProperties: false },
    ),
    ok: CpuBaseline,
  }),
};
