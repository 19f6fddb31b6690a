// Hosts and instance types: what the cloud is made of, and the sizes it is sold in.
import { type Static, Type } from 'typebox';
import { DiskDriver } from '../agent/desired.ts';
import { HostFacts } from '../agent/host-facts.ts';
import { HugePageKib } from '../agent/host-memory.ts';
import { IdSchema } from '../ids.ts';
import { route } from '../route.ts';
import { chosenCpu } from './instance-cpu.ts';
import { idParams, ListQuery, Name, Nothing, Nullable, Page, Time } from './shared.ts';

export const Host = Type.Object(
  {
    id: IdSchema('host'),
    name: Type.String(),
    driver: Type.Union([Type.Literal('libvirt'), Type.Literal('simulated')]),
    state: Type.Union([Type.Literal('ready'), Type.Literal('unreachable')]),
    stateReason: Nullable(Type.String({ description: 'why the host is not ready, and what to do' })),
    facts: Nullable(HostFacts),
    allocatedVcpus: Type.Integer(),
    allocatedMemoryMib: Type.Integer(),
    /** vCPUs that may be promised: threads times the overcommit ratio. */
    schedulableVcpus: Type.Integer(),
    schedulableMemoryMib: Type.Integer(),
    /** How many times over vCPUs and memory are promised; null: as the cloud has it. */
    vcpuOvercommit: Nullable(Type.Number()),
    memoryOvercommit: Nullable(Type.Number()),
    memoryFloorMib: Nullable(
      Type.Integer({ description: 'available memory below which nothing is started there; null: as the cloud has it' }),
    ),
    ksmScope: Nullable(
      Type.Union([Type.Literal('project'), Type.Literal('host'), Type.Literal('never')], {
        description: 'whose guests the kernel may merge equal pages of; null: as the cloud has it',
      }),
    ),
    hugePages: Type.Array(Type.Object({ sizeKib: HugePageKib, total: Type.Integer(), allocated: Type.Integer() }), {
      description: 'static huge pages by size that nobody else on the host uses, and what of them is promised',
    }),
    reservedCpus: Type.Array(Type.Integer(), { description: 'what it keeps for itself' }),
    instanceCount: Type.Integer(),
    lastSeenAt: Nullable(Time),
    createdAt: Time,
  },
  { $id: 'Host' },
);
export type Host = Static<typeof Host>;

export const InstanceType = Type.Object(
  {
    name: Name,
    vcpus: Type.Integer({ minimum: 1, maximum: 512 }),
    memoryMib: Type.Integer({ minimum: 64, maximum: 16_777_216 }),
    diskGib: Type.Integer({
      minimum: 1,
      maximum: 65_536,
      description: 'size of the root disk; an image that is larger wins',
    }),
    /** Memory of static huge pages of this size, which a host has reserved; null or absent: ordinary pages. */
    hugePageKib: Type.Optional(Nullable(HugePageKib)),
    ...chosenCpu,
    /** How QEMU reads and writes the root disk; a launch may say otherwise. */
    diskDriver: Type.Optional(DiskDriver),
    pool: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: 63,
        description: 'name of the pools for root disks; a launch may say otherwise',
      }),
    ),
  },
  { $id: 'InstanceType', additionalProperties: false },
);
export type InstanceType = Static<typeof InstanceType>;

export const hostRoutes = {
  listHosts: route({
    method: 'GET',
    path: '/v1/hosts',
    summary: 'List hosts with their capacity and what is allocated',
    access: { scope: 'cloud', role: 'viewer' },
    query: ListQuery,
    ok: Page(Host),
  }),
  getHost: route({
    method: 'GET',
    path: '/v1/hosts/{id}',
    summary: 'Show a host',
    access: { scope: 'cloud', role: 'viewer' },
    params: idParams('host'),
    ok: Host,
  }),
  listInstanceTypes: route({
    method: 'GET',
    path: '/v1/instance-types',
    summary: 'List instance types',
    access: { scope: 'user' },
    ok: Page(InstanceType),
  }),
  createInstanceType: route({
    method: 'POST',
    path: '/v1/instance-types',
    summary: 'Create an instance type',
    access: { scope: 'cloud', role: 'admin' },
    body: InstanceType,
    ok: InstanceType,
    status: 201,
  }),
  deleteInstanceType: route({
    method: 'DELETE',
    path: '/v1/instance-types/{name}',
    summary: 'Delete an instance type; instances keep their size',
    access: { scope: 'cloud', role: 'admin' },
    params: Type.Object({ name: Name }),
    ok: Nothing,
  }),
};
