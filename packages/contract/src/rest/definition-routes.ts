// How the domain of an instance is defined: read, edited, and compared with what others make of it.
import { Type } from 'typebox';
import { OverlayChange } from '../agent/desired.ts';
import { IdSchema } from '../ids.ts';
import { route } from '../route.ts';
import { Drift, DriftPolicy } from './definitions.ts';
import { InstanceChanged } from './instances.ts';
import { idParams, Nullable } from './shared.ts';

/** As large as a definition can reasonably be. */
const maxXmlLength = 1_000_000;

const plan = {
  overlay: Type.Array(OverlayChange),
  diff: Type.String({ description: 'unified' }),
  conflicts: Type.Array(
    Type.String({ description: 'a change of the overlay that no longer has its place; the others are in effect' }),
  ),
};

export const definitionRoutes = {
  getDefinition: route({
    method: 'GET',
    path: '/v1/instances/{id}/definition',
    summary: 'How the domain is defined: what is generated, the overlay, and the outcome, with secrets',
    access: { scope: 'cloud', role: 'admin' },
    params: idParams('instance'),
    ok: Type.Object({ generated: Type.String(), effective: Type.String(), ...plan }),
  }),
  setOverlay: route({
    method: 'PUT',
    path: '/v1/instances/{id}/overlay',
    summary: 'Lay an overlay over what is generated, in place of the one there is; libvirt checks it before',
    access: { scope: 'cloud', role: 'admin' },
    params: idParams('instance'),
    body: Type.Object(
      {
        xml: Type.Optional(
          Type.String({ maxLength: maxXmlLength, description: 'the whole definition, as it is to be' }),
        ),
        changes: Type.Optional(Type.Array(OverlayChange, { description: 'the whole overlay; none takes it away' })),
        dryRun: Type.Optional(Type.Boolean({ description: 'only say what would be' })),
        restart: Type.Optional(
          Type.Boolean({ description: 'restart the guest, if it runs, so that it has it at once' }),
        ),
      },
      { additionalProperties: false },
    ),
    ok: Type.Object({ ...plan, operationId: Nullable(IdSchema('operation')) }),
    ifMatch: true,
  }),
  getDrift: route({
    method: 'GET',
    path: '/v1/instances/{id}/drift',
    summary: 'What was last changed beside Virga, and what became of it',
    access: { scope: 'project', role: 'viewer' },
    params: idParams('instance'),
    ok: Type.Object({ policy: DriftPolicy, last: Nullable(Drift) }),
  }),
  setDriftPolicy: route({
    method: 'PUT',
    path: '/v1/instances/{id}/drift-policy',
    summary: 'Say whether changes beside Virga are kept or taken back',
    access: { scope: 'project', role: 'admin' },
    params: idParams('instance'),
    body: Type.Object({ policy: DriftPolicy }, { additionalProperties: false }),
    ok: InstanceChanged,
    status: 202,
  }),
};
