// Networks: provider networks over a libvirt NAT network. Addresses are leased from Virga's own pool.
import { type Static, Type } from 'typebox';
import { IdSchema } from '../ids.ts';
import { route } from '../route.ts';
import { idParams, ListQuery, Name, Nullable, Page, Time } from './shared.ts';

export const Network = Type.Object(
  {
    id: IdSchema('network'),
    projectId: IdSchema('project'),
    name: Name,
    kind: Type.Literal('nat', { description: 'libvirt NAT network: guests reach out through the host' }),
    visibility: Type.Union([Type.Literal('private'), Type.Literal('public')]),
    cidr: Type.String({ description: 'IPv4, such as 10.77.0.0/24' }),
    gateway: Type.String(),
    addressCount: Type.Integer({ description: 'addresses that can be leased' }),
    leasedCount: Type.Integer(),
    reserved: Type.Array(Type.Object({ address: Type.String(), mac: Type.String(), domainName: Type.String() }), {
      description: 'addresses of instances that were released, kept for as long as their domains exist',
    }),
    state: Type.Union([
      Type.Literal('pending'),
      Type.Literal('active'),
      Type.Literal('failed'),
      Type.Literal('deleting'),
    ]),
    stateReason: Nullable(Type.String()),
    createdAt: Time,
  },
  { $id: 'Network' },
);
export type Network = Static<typeof Network>;

const Changed = Type.Object({ network: Network, operationId: IdSchema('operation') });

export const networkRoutes = {
  listNetworks: route({
    method: 'GET',
    path: '/v1/networks',
    summary: 'List the networks of the project and the public ones',
    access: { scope: 'project', role: 'viewer' },
    query: ListQuery,
    ok: Page(Network),
  }),
  getNetwork: route({
    method: 'GET',
    path: '/v1/networks/{id}',
    summary: 'Show a network',
    access: { scope: 'project', role: 'viewer' },
    params: idParams('network'),
    ok: Network,
  }),
  createNetwork: route({
    method: 'POST',
    path: '/v1/networks',
    summary: 'Create a provider network',
    access: { scope: 'cloud', role: 'admin' },
    body: Type.Object(
      {
        name: Name,
        cidr: Type.String({ maxLength: 43 }),
        visibility: Type.Optional(Type.Union([Type.Literal('private'), Type.Literal('public')])),
      },
      { additionalProperties: false },
    ),
    ok: Changed,
    status: 202,
  }),
  deleteNetwork: route({
    method: 'DELETE',
    path: '/v1/networks/{id}',
    summary: 'Delete a network that no instance is attached to',
    access: { scope: 'project', role: 'admin' },
    params: idParams('network'),
    ok: Changed,
    status: 202,
  }),
};
