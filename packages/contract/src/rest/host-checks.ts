// Checks of hosts, and the repairs that Virga makes of what they find.
import { type Static, Type } from 'typebox';
import { HostChange } from '../agent/host-changes.ts';
import { HostCheckReport } from '../agent/host-checks.ts';
import { route } from '../route.ts';
import { idParams } from './shared.ts';

const checkName = '[a-z0-9]+(?:-[a-z0-9]+)*';
const Names = Type.Array(Type.String({ pattern: `^${checkName}$`, maxLength: 63 }), { minItems: 1, maxItems: 100 });
const NamesQuery = Type.Object({
  names: Type.Optional(
    Type.String({
      pattern: `^${checkName}(?:,${checkName})*$`,
      maxLength: 2000,
      description: 'names of checks, joined by commas; default all',
    }),
  ),
});

export const HostRepaired = Type.Object(
  { changes: Type.Array(HostChange), report: HostCheckReport },
  { $id: 'HostRepaired' },
);
export type HostRepaired = Static<typeof HostRepaired>;

export const hostCheckRoutes = {
  checkHost: route({
    method: 'GET',
    path: '/v1/hosts/{id}/checks',
    summary: 'Look at a host now: what is well, what is not, why it matters, and what would repair it',
    access: { scope: 'cloud', role: 'viewer' },
    params: idParams('host'),
    query: NamesQuery,
    ok: HostCheckReport,
  }),
  repairHost: route({
    method: 'POST',
    path: '/v1/hosts/{id}/repairs',
    summary: 'Make the repairs of checks, all of these or none; answers what was changed and how the checks are now',
    access: { scope: 'cloud', role: 'admin' },
    params: idParams('host'),
    body: Type.Object({ names: Names }, { additionalProperties: false }),
    ok: HostRepaired,
  }),
  undoHostRepairs: route({
    method: 'DELETE',
    path: '/v1/hosts/{id}/repairs',
    summary: 'Take repairs back; the host is then as it was before them',
    access: { scope: 'cloud', role: 'admin' },
    params: idParams('host'),
    query: NamesQuery,
    ok: HostRepaired,
  }),
};
