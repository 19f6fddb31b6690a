// Tuning of hosts: what is desired, what is in force, and what a change would come to.
import { type Static, Type } from 'typebox';
import { DesiredTuning, TuningOverrides, TuningPlan, TuningProfile } from '../agent/host-tuning.ts';
import { IdSchema } from '../ids.ts';
import { route } from '../route.ts';
import { idParams, Nullable, Time } from './shared.ts';

export const TunedHost = Type.Object(
  {
    id: IdSchema('host'),
    name: Type.String(),
    generation: Type.Integer({ description: 'grows with each request' }),
    desired: Nullable(DesiredTuning),
    inForce: Nullable(DesiredTuning),
    state: Type.Union([
      Type.Literal('none', { description: 'Virga has changed nothing' }),
      Type.Literal('pending', { description: 'on its way to what is desired' }),
      Type.Literal('applied', { description: 'as desired, and kept so' }),
      Type.Literal('failed', { description: 'the host refused the last request, or what it had; see stateReason' }),
    ]),
    stateReason: Nullable(Type.String()),
    appliedAt: Nullable(Time),
  },
  { $id: 'TunedHost' },
);
export type TunedHost = Static<typeof TunedHost>;

const Changed = Type.Object({ tuning: TunedHost, operationId: IdSchema('operation') });

export const TuneHost = Type.Object(
  { profile: TuningProfile, overrides: Type.Optional(TuningOverrides) },
  { $id: 'TuneHost', additionalProperties: false },
);
export type TuneHost = Static<typeof TuneHost>;

export const hostTuningRoutes = {
  getHostTuning: route({
    method: 'GET',
    path: '/v1/hosts/{id}/tuning',
    summary: 'Show how a host is tuned, and every knob that it has as it is now',
    access: { scope: 'cloud', role: 'viewer' },
    params: idParams('host'),
    ok: Type.Object({
      tuning: TunedHost,
      /** Null while the host does not answer. `changes` is what somebody else has changed since. */
      seen: Nullable(TuningPlan),
    }),
  }),
  planHostTuning: route({
    method: 'POST',
    path: '/v1/hosts/{id}/tuning/plan',
    summary: 'Show what tuning would change on a host, and change nothing; null is to take everything back',
    access: { scope: 'cloud', role: 'admin' },
    params: idParams('host'),
    body: Type.Object({ tuning: Nullable(TuneHost) }, { additionalProperties: false }),
    ok: TuningPlan,
  }),
  tuneHost: route({
    method: 'PUT',
    path: '/v1/hosts/{id}/tuning',
    summary: 'Tune a host by a profile and what goes before it; a host that refuses stays as it is',
    access: { scope: 'cloud', role: 'admin' },
    params: idParams('host'),
    body: TuneHost,
    ok: Changed,
    status: 202,
  }),
  untuneHost: route({
    method: 'DELETE',
    path: '/v1/hosts/{id}/tuning',
    summary: 'Take back all that tuning has changed on a host, exactly',
    access: { scope: 'cloud', role: 'admin' },
    params: idParams('host'),
    ok: Changed,
    status: 202,
  }),
};
