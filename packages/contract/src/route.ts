// One route of the REST front, as data: handlers, client, authorization, OpenAPI and tests are all typed from it.
import type { Static, TSchema } from 'typebox';

/** Roles in a project, weakest first. A role includes every weaker one. */
export const projectRoles = ['viewer', 'operator', 'admin'] as const;
export type ProjectRole = (typeof projectRoles)[number];

/** Roles for the whole cloud, weakest first. `none` is an ordinary user. */
export const cloudRoles = ['none', 'viewer', 'admin'] as const;
export type CloudRole = (typeof cloudRoles)[number];

/**
 * Who may call a route. `public`: anybody. `user`: anybody signed in. `project`: that role in the project of the request
 * (header `virga-project`, else the project of the API key). `cloud`: that role for the whole cloud.
 */
export type Access =
  | { scope: 'public' }
  | { scope: 'user' }
  | { scope: 'project'; role: ProjectRole }
  | { scope: 'cloud'; role: Exclude<CloudRole, 'none'> };

export type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';

export type Route = {
  method: Method;
  /** Path with `{name}` parameters. */
  path: `/v1/${string}` | '/metrics';
  summary: string;
  access: Access;
  params?: TSchema;
  query?: TSchema;
  body?: TSchema;
  /** The body is bytes, application/octet-stream, of any length: never held in memory. Then there is no `body`. */
  content?: 'octets';
  /** Default 1 MiB. */
  bodyLimitBytes?: number;
  ok: TSchema;
  status?: 200 | 201 | 202;
  /** How long the work may take that is done before the answer begins. Default 30 s. */
  patienceMs?: number;
  /** Takes the header `if-match` with the generation of the resource, and is refused when that has changed. */
  ifMatch?: true;
  /**
   * `events`: the answer is a server-sent event stream of `ok`. `websocket`: the route upgrades. `text`: `ok` is a string,
   * which is the body. Default JSON.
   */
  transport?: 'events' | 'websocket' | 'text';
};

export const route = <const R extends Route>(definition: R): R => definition;

type StaticOf<T> = T extends TSchema ? Static<T> : never;
type Part<K extends string, T> = T extends TSchema ? { [key in K]: Static<T> } : unknown;

/** Arguments of a route: the `params`, `query` and `body` that it declares. */
export type RouteArguments<R extends Route> = Part<'params', R['params']> &
  Part<'query', R['query']> &
  Part<'body', R['body']>;

/** What a route answers. */
export type RouteResult<R extends Route> = StaticOf<R['ok']>;
