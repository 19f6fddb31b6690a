// A server that answers routes of the contract with what a test says, over real HTTP. Requests and answers are checked
// against the schemas of the contract, so a test cannot pass on shapes that no server would take or give.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { toProblem, VirgaError } from '@virga/contract/errors';
import { type Api, api, type RouteName } from '@virga/contract/rest/api';
import type { Route, RouteArguments, RouteResult } from '@virga/contract/route';
import { bodyCheck, textCheck } from '@virga/control-plane/http/validation';

type Arguments<R extends Route> = RouteArguments<R> & { headers: IncomingMessage['headers'] };
type Handler<R extends Route> = (args: Arguments<R>) => RouteResult<R> | Promise<RouteResult<R>>;
type StreamHandler<R extends Route> = (args: Arguments<R>, response: ServerResponse) => void;

/** What a test answers: a value, or a stream for routes of events. A VirgaError that is thrown becomes its problem. */
export type Handlers = {
  [K in RouteName]?: Api[K] extends { transport: 'events' } ? StreamHandler<Api[K]> : Handler<Api[K]>;
};

export type SeenRequest = {
  route: RouteName;
  params: unknown;
  query: unknown;
  body: unknown;
  headers: IncomingMessage['headers'];
};

export type ContractServer = AsyncDisposable & {
  url: string;
  /** For what needs more than requests, such as WebSockets. */
  http: Server;
  /** What came, in order. */
  seen: SeenRequest[];
  /** Faults of the test itself: an answer that the contract does not know. */
  faults: Error[];
};

export async function serveContract(handlers: Handlers): Promise<ContractServer> {
  const seen: SeenRequest[] = [];
  const faults: Error[] = [];
  const http = createServer((request, response) => {
    answer(request, response).catch((error: Error) => {
      if (!(error instanceof VirgaError)) faults.push(error);
      const problem = toProblem(error instanceof VirgaError ? error : mistake(error));
      if (response.headersSent) response.destroy();
      else
        response.writeHead(problem.status, { 'content-type': 'application/problem+json' }).end(JSON.stringify(problem));
    });
  });

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', 'http://server');
    const match = findRoute(request.method ?? 'GET', url.pathname);
    if (!match) throw new Error(`No route ${request.method} ${url.pathname}`);
    const route: Route = api[match.name];
    const chunks = await Array.fromAsync(request, (chunk) => Buffer.from(chunk));
    const text = Buffer.concat(chunks).toString();
    const args = {
      params: textCheck(route.params)(match.params),
      query: textCheck(route.query)(readQuery(url.searchParams)),
      body: route.content ? undefined : bodyCheck(route.body)(text === '' ? undefined : JSON.parse(text)),
      headers: request.headers,
    };
    seen.push({ route: match.name, ...args });
    const handler = handlers[match.name] as ((args: unknown, response: ServerResponse) => unknown) | undefined;
    if (!handler) throw missing(match.name);
    if (route.transport === 'events') {
      response.setHeader('content-type', 'text/event-stream');
      handler(args, response);
      response.flushHeaders();
      return;
    }
    const value = await handler(args, response);
    try {
      bodyCheck(route.ok)(value);
    } catch (cause) {
      throw new Error(`The test answers ${match.name} with what the contract does not know: ${cause}`, { cause });
    }
    response.writeHead(route.status ?? 200, { 'content-type': 'application/json' }).end(JSON.stringify(value));
  }

  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(http.address() as AddressInfo).port}`,
    http,
    seen,
    faults,
    async [Symbol.asyncDispose]() {
      http.closeAllConnections();
      await new Promise((resolve) => http.close(resolve));
    },
  };
}

/** As the front reads it: what is repeated is an array. */
function readQuery(parameters: URLSearchParams): Record<string, string | string[]> {
  return Object.fromEntries(
    [...new Set(parameters.keys())].map((name) => {
      const values = parameters.getAll(name);
      return [name, values.length === 1 ? values[0]! : values];
    }),
  );
}

function findRoute(method: string, path: string): { name: RouteName; params: Record<string, string> } | undefined {
  const literalFirst = (Object.entries(api) as [RouteName, Route][]).sort(
    ([, a], [, b]) => a.path.split('{').length - b.path.split('{').length,
  );
  for (const [name, route] of literalFirst) {
    if (route.method !== method) continue;
    const pattern = new RegExp(`^${route.path.replace(/\{(\w+)\}/g, '(?<$1>[^/]+)')}$`);
    const params = pattern.exec(path);
    if (!params) continue;
    const decoded = Object.entries(params.groups ?? {}).map(([key, value]) => [key, decodeURIComponent(value)]);
    return { name, params: Object.fromEntries(decoded) };
  }
  return undefined;
}

const missing = (name: string) =>
  new VirgaError('NotFound', { detail: `The test has no answer for ${name}.`, action: 'Give it one.' });

const mistake = (cause: Error) =>
  new VirgaError('Internal', { detail: cause.message, action: 'Mend the test.', cause });
