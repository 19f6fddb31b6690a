// Typed client of the REST front: one method a route, inferred from the table, nothing generated.
// Problem documents become `VirgaError`s; a server that does not answer becomes `ServerUnreachable`.
import { fromProblem, VirgaError } from './errors.ts';
import type { ImageId } from './ids.ts';
import { type Api, api, type RouteName } from './rest/api.ts';
import type { ImageUpload } from './rest/image-import.ts';
import type { Route, RouteArguments, RouteResult } from './route.ts';

export type ClientOptions = {
  /** Such as `http://127.0.0.1:8470`. */
  server: string;
  accessKeyId?: string | undefined;
  secret?: string | undefined;
  /** Project name or id; default the project of the API key. */
  project?: string | undefined;
  fetch?: typeof fetch | undefined;
  /** Per request; long polls add their own waiting time. Default 30_000. */
  timeoutMs?: number | undefined;
};

export type RequestOptions = { signal?: AbortSignal; idempotencyKey?: string; ifMatch?: number };

type JsonRouteName = {
  [K in RouteName]: Api[K] extends { transport: string } | { content: string } ? never : K;
}[RouteName];
/** A body of which nothing must be said can be left out. */
type Given<A> = A extends { body: infer B } ? (object extends B ? Omit<A, 'body'> & { body?: B } : A) : A;
type Call<R extends Route> = keyof RouteArguments<R> extends never
  ? (args?: Record<never, never>, options?: RequestOptions) => Promise<RouteResult<R>>
  : (args: Given<RouteArguments<R>>, options?: RequestOptions) => Promise<RouteResult<R>>;

export type Client = { [K in JsonRouteName]: Call<Api[K]> };

type AnyArguments = { params?: Record<string, string>; query?: Record<string, unknown>; body?: unknown };

/** Makes a client. Methods are named as the routes in the table: `client.listInstances({ query: {} })`. */
export function createClient(options: ClientOptions): Client {
  return new Proxy({} as Client, {
    get: (_target, name) =>
      typeof name === 'string' && Object.hasOwn(api, name)
        ? (args: AnyArguments = {}, request: RequestOptions = {}) =>
            call(options, api[name as RouteName], args, request)
        : undefined,
  });
}

/** Address of a route with its parameters filled in; for streams and WebSockets too. */
export function routeUrl(server: string, route: Route, args: AnyArguments = {}): URL {
  const path = route.path.replace(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(args.params?.[name] ?? ''));
  const url = new URL(path, server);
  for (const [name, value] of Object.entries(args.query ?? {})) {
    for (const one of Array.isArray(value) ? value : [value]) {
      if (one !== undefined) url.searchParams.append(name, String(one));
    }
  }
  return url;
}

/** Headers that sign a request in: HTTP basic authentication with access key id and secret, and the project. */
export function authHeaders({ accessKeyId, secret, project }: ClientOptions): Record<string, string> {
  return {
    ...(accessKeyId && secret
      ? { authorization: `Basic ${Buffer.from(`${accessKeyId}:${secret}`).toString('base64')}` }
      : {}),
    ...(project ? { 'virga-project': project } : {}),
  };
}

async function call(
  options: ClientOptions,
  route: Route,
  args: AnyArguments,
  request: RequestOptions,
): Promise<unknown> {
  const waitMs = Number(args.query?.waitSeconds ?? 0) * 1000;
  const timeout = AbortSignal.timeout((options.timeoutMs ?? route.patienceMs ?? 30_000) + waitMs);
  const response = await send(options, routeUrl(options.server, route, args), {
    method: route.method,
    headers: {
      ...authHeaders(options),
      ...(args.body === undefined ? {} : { 'content-type': 'application/json' }),
      ...(request.idempotencyKey ? { 'idempotency-key': request.idempotencyKey } : {}),
      ...(request.ifMatch === undefined ? {} : { 'if-match': `"${request.ifMatch}"` }),
    },
    ...(args.body === undefined ? {} : { body: JSON.stringify(args.body) }),
    signal: request.signal ? AbortSignal.any([request.signal, timeout]) : timeout,
  });
  if (!response.ok) throw await errorOf(response);
  return response.json();
}

/**
 * Sends a part of an image.
 * @throws Conflict the server has more or less of it: ask it, and go on from there | ServerUnreachable
 */
export async function sendImage(
  options: ClientOptions,
  { id, offsetBytes }: { id: ImageId; offsetBytes: number },
  content: Uint8Array<ArrayBuffer>,
  signal?: AbortSignal,
): Promise<ImageUpload> {
  const route = api.sendImage;
  const timeout = AbortSignal.timeout(options.timeoutMs ?? 120_000);
  const url = routeUrl(options.server, route, { params: { id }, query: { offsetBytes } });
  const response = await send(options, url, {
    method: route.method,
    headers: { ...authHeaders(options), 'content-type': 'application/octet-stream' },
    body: content,
    signal: signal ? AbortSignal.any([signal, timeout]) : timeout,
  });
  if (!response.ok) throw await errorOf(response);
  return (await response.json()) as ImageUpload;
}

async function send(options: ClientOptions, url: URL, init: RequestInit): Promise<Response> {
  try {
    return await (options.fetch ?? fetch)(url, init);
  } catch (cause) {
    if (cause instanceof Error && cause.name === 'AbortError') throw cause;
    throw new VirgaError('ServerUnreachable', {
      detail: `The server at ${options.server} does not answer.`,
      action: 'Start it with script/up, or name another with --server.',
      cause,
    });
  }
}

/** The error that a response other than 2xx stands for. */
export async function errorOf(response: Response): Promise<VirgaError> {
  const problem = (await response.json().catch(() => undefined)) as { code?: string } | undefined;
  if (problem?.code) return fromProblem(problem as Parameters<typeof fromProblem>[0]);
  return new VirgaError('OperationFailed', {
    detail: `The server answered ${response.status} ${response.statusText}.`,
    action: 'Check that the address is that of a Virga server.',
  });
}
