// What Virga and virsh have in common: domains of somebody else, taken over and given back without a restart.
import { Type } from 'typebox';
import { ForeignDomain } from '../agent/foreign.ts';
import { route } from '../route.ts';
import { InstanceChanged } from './instances.ts';
import { idParams, Name, Page } from './shared.ts';

export const interopRoutes = {
  listForeignDomains: route({
    method: 'GET',
    path: '/v1/hosts/{id}/domains',
    summary: 'List the domains of a host that are no instances',
    access: { scope: 'cloud', role: 'admin' },
    params: idParams('host'),
    ok: Page(ForeignDomain),
  }),
  adoptInstance: route({
    method: 'POST',
    path: '/v1/instances/adopt',
    summary: 'Take over a domain that was made with virsh or virt-manager, without restarting it',
    access: { scope: 'cloud', role: 'admin' },
    body: Type.Object(
      {
        domain: Type.String({ minLength: 1, maxLength: 255, description: 'name or UUID of the domain' }),
        host: Type.Optional(
          Type.String({
            minLength: 1,
            maxLength: 64,
            description: 'host id or name; may be left out when there is one',
          }),
        ),
        name: Type.Optional(Name),
      },
      { additionalProperties: false },
    ),
    ok: InstanceChanged,
    status: 202,
  }),
  releaseInstance: route({
    method: 'POST',
    path: '/v1/instances/{id}/release',
    summary: 'Give an instance back: its domain runs on with its disks, and is no longer an instance',
    access: { scope: 'project', role: 'admin' },
    params: idParams('instance'),
    ok: InstanceChanged,
    status: 202,
    ifMatch: true,
  }),
};
