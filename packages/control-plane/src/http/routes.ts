// Puts a route of the contract on the HTTP server: admission, validation, the call of its handler, and the answer in the
// transport that the route names.

import type { Duplex } from 'node:stream';
import { Readable } from 'node:stream';
import { api, type RouteName } from '@virga/contract/rest/api';
import type { Route } from '@virga/contract/route';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { EventFeed } from '../events/follow-events.ts';
import { type Admission, admit } from './admission.ts';
import { checkUpgrade, joinConsole } from './console-socket.ts';
import { requireContent } from './content.ts';
import { eventStreamText } from './event-stream.ts';
import type { FrontDeps, Handlers } from './handler.ts';
import type { OpenRequests } from './open-requests.ts';
import { readIdempotency, readIfMatch, readLastEventId } from './request-headers.ts';
import { bodyCheck, textCheck } from './validation.ts';

declare module 'fastify' {
  interface FastifyRequest {
    /** Set before the body is read, by the route's own hook. */
    admission: Admission;
    console: Duplex | undefined;
  }
}

export type RouteOptions = {
  deps: FrontDeps;
  handlers: Handlers;
  openRequests: OpenRequests;
  /** Keys the digests of requests. */
  digestKey: Buffer;
  loginsPerMinute: number;
};

export function registerRoutes(app: FastifyInstance, options: RouteOptions): void {
  app.decorateRequest('admission');
  app.decorateRequest('console');
  for (const name of Object.keys(api) as RouteName[]) registerRoute(app, name, api[name], options);
}

type Call = (request: FastifyRequest, reply: FastifyReply) => Promise<unknown>;

function registerRoute(app: FastifyInstance, name: RouteName, route: Route, options: RouteOptions): void {
  const call = caller(name, route, options);
  const definition = {
    method: route.method,
    url: route.path.replace(/\{(\w+)\}/g, ':$1'),
    ...(route.bodyLimitBytes === undefined ? {} : { bodyLimit: route.bodyLimitBytes }),
    config: {
      ...(name === 'login' && { rateLimit: { max: options.loginsPerMinute, timeWindow: 60_000 } }),
      ...(route.content && { takesContent: true }),
    },
    // After the rate limit, which is an onRequest hook of the route, and before anything of the body is read.
    preParsing: async (request: FastifyRequest) => {
      request.admission = await admit(options.deps, route, request);
    },
  };
  switch (route.transport) {
    case 'events':
      return void app.route({ ...definition, handler: sendEvents(call) });
    case 'websocket':
      return void app.route({ ...definition, ...websocket(call, options.openRequests) });
    case 'text':
      return void app.route({
        ...definition,
        handler: async (request, reply) => reply.type('text/plain; charset=utf-8').send(await call(request, reply)),
      });
    default:
      return void app.route({
        ...definition,
        handler: async (request, reply) => reply.code(route.status ?? 200).send(await call(request, reply)),
      });
  }
}

/** Validates and calls the handler. The one place where its types are taken on trust: they come from the same table. */
function caller(name: RouteName, route: Route, { handlers, openRequests, digestKey }: RouteOptions): Call {
  const handler = handlers[name] as unknown as (request: Record<string, unknown>) => Promise<unknown>;
  const checks = { params: textCheck(route.params), query: textCheck(route.query), body: bodyCheck(route.body) };
  return async (request, reply) => {
    const params = checks.params(request.params);
    const query = checks.query(request.query);
    const content = route.content && requireContent(request.body);
    const body = content ? undefined : checks.body(request.body);
    return handler({
      params,
      query,
      body,
      content,
      access: request.admission.access,
      requestId: request.id,
      idempotency: readIdempotency(request, request.admission, name, body, digestKey),
      ifMatch: readIfMatch(request, route),
      lastEventId: readLastEventId(request),
      signal: openRequests.signalOf(request, reply),
    });
  };
}

const sendEvents =
  (call: Call): Call =>
  async (request, reply) => {
    const feed = (await call(request, reply)) as EventFeed;
    reply.type('text/event-stream; charset=utf-8').header('x-accel-buffering', 'no');
    return reply.send(Readable.from(eventStreamText(feed)));
  };

/** The stream is opened before the upgrade, so that what is refused is an ordinary problem document. */
function websocket(call: Call, openRequests: OpenRequests) {
  return {
    preHandler: async (request: FastifyRequest, reply: FastifyReply) => {
      checkUpgrade(request);
      const stream = (await call(request, reply)) as Duplex;
      stream.on('error', () => {});
      request.raw.socket.once('close', () => stream.destroy());
      if (request.raw.socket.destroyed) stream.destroy();
      request.console = stream;
    },
    handler: async () => {},
    wsHandler: (socket: Parameters<typeof joinConsole>[0], request: FastifyRequest) => {
      joinConsole(socket, request.console!, openRequests.closing);
    },
  };
}
