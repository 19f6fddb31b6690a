// The REST front: an HTTP server made from the routes of the contract. It has no rules and no SQL; what it adds is
// admission, validation, problem documents, limits, and an end that leaves nobody waiting.
import { createHmac, randomBytes } from 'node:crypto';
import rateLimit from '@fastify/rate-limit';
import websocket from '@fastify/websocket';
import { VirgaError } from '@virga/contract/errors';
import { openApiDocument } from '@virga/contract/rest/open-api';
import { type FastifyInstance, type FastifyReply, type FastifyRequest, fastify, LogController } from 'fastify';
import { chooseProtocol, maxMessageBytes } from './console-socket.ts';
import { contentOf } from './content.ts';
import type { FrontDeps } from './handler.ts';
import { createHandlers } from './handlers/handlers.ts';
import { createOpenRequests } from './open-requests.ts';
import { causeChain, sendProblem } from './problem.ts';
import { registerRoutes } from './routes.ts';

export type FrontLimits = { requestsPerMinute: number; loginsPerMinute: number };
/** By address of the client. The first only stops a runaway loop; the second stops who guesses passwords. */
export const defaultLimits: FrontLimits = { requestsPerMinute: 60_000, loginsPerMinute: 20 };

/** How long requests that are under way may take when the server closes. */
const graceMs = 5_000;
const bodyLimitBytes = 1024 ** 2;
const securityHeaders = {
  'x-content-type-options': 'nosniff',
  'cache-control': 'no-store',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
  'referrer-policy': 'no-referrer',
};

/** What the framework itself would log, kept to what is safe to log. */
class FrontLog extends LogController {
  /** A stream that broke after its first byte: the client sees only that it ends, and comes back. */
  override streamError(error: Error, request: FastifyRequest, _reply: FastifyReply): void {
    request.log.warn({ requestId: request.id, chain: causeChain(error) }, 'a stream was cut off');
  }
}

export async function createFront(
  deps: FrontDeps,
  { sealKey, limits = defaultLimits }: { sealKey: Buffer; limits?: FrontLimits },
): Promise<FastifyInstance> {
  const app = fastify({
    loggerInstance: deps.log,
    logController: new FrontLog({ disableRequestLogging: true }),
    genReqId: () => `req-${randomBytes(9).toString('hex')}`,
    requestIdHeader: false,
    bodyLimit: bodyLimitBytes,
    exposeHeadRoutes: false,
    forceCloseConnections: 'idle',
    routerOptions: { maxParamLength: 512 },
    frameworkErrors: (error, request, reply) => sendProblem(error, request, reply),
  }) as unknown as FastifyInstance;
  const openRequests = createOpenRequests();
  app.addHook('preClose', async () => {
    openRequests.close();
    if (!app.server.listening) return;
    // A connection whose answer ends only now would be kept for the next request, and closing would wait for that.
    const closing = setInterval(() => app.server.closeIdleConnections(), 10);
    const cutting = setTimeout(() => app.server.closeAllConnections(), graceMs);
    app.server.once('close', () => {
      clearInterval(closing);
      clearTimeout(cutting);
    });
  });
  app.addHook('onRequest', async (request, reply) => {
    reply.headers({ ...securityHeaders, 'x-request-id': request.id });
  });
  app.addHook('onResponse', async (request, reply) => {
    const level = request.method === 'GET' ? 'debug' : 'info';
    request.log[level](
      {
        requestId: request.id,
        method: request.method,
        route: request.routeOptions.url,
        status: reply.statusCode,
        ms: Math.round(reply.elapsedTime),
        actor: request.admission?.caller?.actor.name,
      },
      'request',
    );
  });
  app.setErrorHandler(sendProblem);
  app.setNotFoundHandler((request, reply) => sendProblem(routeNotFound(request.method, request.url), request, reply));
  await app.register(rateLimit, {
    max: limits.requestsPerMinute,
    timeWindow: 60_000,
    errorResponseBuilder: (_request, { after }) => tooManyRequests(after),
  });
  await app.register(websocket, {
    options: { maxPayload: maxMessageBytes, handleProtocols: chooseProtocol },
    preClose: (done) => done(),
  });
  acceptJsonOnly(app);
  const digestKey = createHmac('sha256', sealKey).update('idempotency').digest();
  const { loginsPerMinute } = limits;
  registerRoutes(app, { deps, handlers: createHandlers(deps), openRequests, digestKey, loginsPerMinute });
  const document = JSON.stringify(openApiDocument(deps.version));
  app.get('/v1/openapi.json', async (_request, reply) => reply.type('application/json').send(document));
  return app;
}

/** An empty body counts as none, whatever it is declared as; everything else is JSON, bytes where they belong, or refused. */
function acceptJsonOnly(app: FastifyInstance): void {
  const parse = app.getDefaultJsonParser('error', 'error');
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('application/json', { parseAs: 'string' }, (request, body, done) => {
    if (body === '') done(null, undefined);
    else parse(request, body as string, done);
  });
  // Handed on as it comes, by the routes that take it; elsewhere it is as little JSON as anything else.
  app.addContentTypeParser('application/octet-stream', (request, payload, done) => {
    if (request.routeOptions.config.takesContent) done(null, contentOf(payload));
    else done(Object.assign(new Error('not JSON'), { statusCode: 415 }));
  });
}

function routeNotFound(method: string, url: string): VirgaError {
  return new VirgaError('NotFound', {
    detail: `There is no route ${method} ${url.split('?')[0]?.slice(0, 200)}.`,
    action: 'See /v1/openapi.json for the routes of this server.',
  });
}

function tooManyRequests(after: string): VirgaError {
  return new VirgaError('TooManyRequests', {
    detail: 'There were too many requests from this address.',
    action: `Try again in ${after}.`,
  });
}
