// The REST interface as an OpenAPI 3.1 document: a pure function of the table of routes. Nothing is described twice.
import type { TSchema } from 'typebox';
import { Problem } from '../errors.ts';
import type { Access, Route } from '../route.ts';
import { api } from './api.ts';

type Json = { [key: string]: unknown };

/** The document, for the server to publish and for the reference. */
export function openApiDocument(version: string): Json {
  const components = new Map<string, Json>();
  const problem = withReferences(Problem, components);
  const paths: Record<string, Json> = {};
  for (const [name, route] of Object.entries(api) as [string, Route][]) {
    paths[route.path] = {
      ...paths[route.path],
      [route.method.toLowerCase()]: operation(name, route, components, problem),
    };
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'Virga',
      version,
      description:
        'A private cloud on KVM. Times are UTC, ISO 8601. A list has cursors: pass `next` as `cursor`. What takes long answers 202 with an operation to wait for.',
    },
    security: [{ apiKey: [] }],
    paths,
    components: {
      securitySchemes: {
        apiKey: { type: 'http', scheme: 'basic', description: 'access key id and secret of an API key' },
      },
      schemas: Object.fromEntries([...components].sort(([a], [b]) => (a < b ? -1 : 1))),
    },
  };
}

function operation(name: string, route: Route, components: Map<string, Json>, problem: unknown): Json {
  const { summary, access, body, status = 200, transport } = route;
  const contentType = { events: 'text/event-stream', text: 'text/plain', websocket: '', json: 'application/json' }[
    transport ?? 'json'
  ];
  const ok =
    transport === 'websocket'
      ? { 101: { description: 'the connection is a WebSocket from here on' } }
      : {
          [status]: {
            description: status === 202 ? 'accepted; wait for the operation' : 'done',
            content: { [contentType]: { schema: withReferences(route.ok, components) } },
          },
        };
  return {
    operationId: name,
    summary,
    description: `Who may call it: ${whoMayCall(access)}.`,
    'x-virga-access': access,
    ...(access.scope === 'public' ? { security: [] } : {}),
    parameters: parameters(route, components),
    ...(route.content
      ? { requestBody: { content: { 'application/octet-stream': { schema: { type: 'string', format: 'binary' } } } } }
      : {}),
    ...(body ? { requestBody: { content: { 'application/json': { schema: withReferences(body, components) } } } } : {}),
    responses: {
      ...ok,
      default: { description: 'a problem', content: { 'application/problem+json': { schema: problem } } },
    },
  };
}

/** Who may call a route, in words. */
export function whoMayCall(access: Access): string {
  switch (access.scope) {
    case 'public':
      return 'anybody';
    case 'user':
      return 'anybody signed in';
    case 'project':
      return `${access.role} of the project`;
    case 'cloud':
      return `${access.role} of the cloud`;
  }
}

function parameters(route: Route, components: Map<string, Json>): Json[] {
  const header = (name: string, description: string): Json => ({
    name,
    in: 'header',
    required: false,
    description,
    schema: { type: 'string' },
  });
  const { scope } = route.access;
  return [
    ...ofSchema('path', route.params, components),
    ...ofSchema('query', route.query, components),
    ...(scope === 'public' ? [] : [header('virga-project', 'project name or id; default the project of the API key')]),
    ...(scope !== 'public' && route.method === 'POST' && (route.status ?? 200) !== 200 && !route.params
      ? [header('idempotency-key', 'the same key with the same request happens once; kept for a day')]
      : []),
    ...(route.ifMatch
      ? [header('if-match', 'generation of the resource in double quotes: refuse when it has changed')]
      : []),
    ...(route.transport === 'events' ? [header('last-event-id', 'go on after this event')] : []),
  ];
}

type ObjectSchema = { properties?: Record<string, TSchema & { description?: string }>; required?: string[] };

function ofSchema(place: 'path' | 'query', schema: TSchema | undefined, components: Map<string, Json>): Json[] {
  const { properties = {}, required = [] } = (schema ?? {}) as ObjectSchema;
  return Object.entries(properties).map(([name, property]) => ({
    name,
    in: place,
    required: required.includes(name),
    ...(property.description === undefined ? {} : { description: property.description }),
    schema: withReferences(property, components),
  }));
}

/** The schema with everything that has a name moved to the components. */
function withReferences(schema: unknown, components: Map<string, Json>): unknown {
  if (Array.isArray(schema)) return schema.map((item) => withReferences(item, components));
  if (typeof schema !== 'object' || schema === null) return schema;
  const { $id, ...rest } = schema as Json & { $id?: string };
  const plain = Object.fromEntries(
    Object.entries(rest).map(([key, value]) => [key, withReferences(value, components)]),
  );
  if ($id === undefined) return plain;
  components.set($id, plain);
  return { $ref: `#/components/schemas/${$id}` };
}
