// Events: an append-only record of what was asked (audit) and what happened (lifecycle), in commit order.
import { type Static, Type } from 'typebox';
import { IdSchema } from '../ids.ts';
import { route } from '../route.ts';
import { Nullable, Page, pageQuery, Time } from './shared.ts';

export const Event = Type.Object(
  {
    cursor: Type.String({ description: 'position in the log; pass it as `after` to go on from here' }),
    time: Time,
    category: Type.Union([Type.Literal('audit'), Type.Literal('lifecycle')]),
    type: Type.String({ description: 'noun.what-happened, such as instance.started' }),
    projectId: Nullable(IdSchema('project')),
    resourceId: Nullable(Type.String()),
    resourceName: Nullable(Type.String()),
    actor: Type.String({ description: 'user name, or virga for what Virga did by itself' }),
    message: Type.String(),
    data: Type.Record(Type.String(), Type.Unknown()),
    requestId: Nullable(Type.String()),
  },
  { $id: 'Event' },
);
export type Event = Static<typeof Event>;

const filter = {
  category: Type.Optional(Type.Union([Type.Literal('audit'), Type.Literal('lifecycle')])),
  resourceId: Type.Optional(Type.String({ maxLength: 64 })),
};

const order = Type.Optional(
  Type.Union([Type.Literal('oldest'), Type.Literal('newest')], {
    default: 'oldest',
    description: 'which events come first; a cursor goes on in the same order',
  }),
);

export const eventRoutes = {
  listEvents: route({
    method: 'GET',
    path: '/v1/events',
    summary: 'List the events of the project',
    access: { scope: 'project', role: 'viewer' },
    query: Type.Object({ ...pageQuery, ...filter, order }),
    ok: Page(Event),
  }),
  followEvents: route({
    method: 'GET',
    path: '/v1/events/stream',
    summary: 'Follow the events of the project; resumes from Last-Event-ID, or from `after`, else starts now',
    access: { scope: 'project', role: 'viewer' },
    query: Type.Object({ after: Type.Optional(Type.String({ maxLength: 64 })), ...filter }),
    ok: Event,
    transport: 'events',
  }),
  listCloudEvents: route({
    method: 'GET',
    path: '/v1/cloud-events',
    summary: 'List the events of the whole cloud',
    access: { scope: 'cloud', role: 'viewer' },
    query: Type.Object({ ...pageQuery, ...filter, order }),
    ok: Page(Event),
  }),
};
