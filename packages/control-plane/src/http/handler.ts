// What a handler is: typed from its route, so that a missing one, one that answers the wrong shape, or one that calls an
// operation without the proof that the route demands, does not compile.
import type { Duplex, Readable } from 'node:stream';
import type { Api, RouteName } from '@virga/contract/rest/api';
import type { Route, RouteArguments, RouteResult } from '@virga/contract/route';
import type { ProofOf } from '../access/authorizer.ts';
import type { Deps } from '../deps.ts';
import type { EventFeed } from '../events/follow-events.ts';
import type { Idempotency } from '../store/once-only.ts';

export type FrontDeps = Deps & { version: string };

/** What every handler gets besides the arguments of its route. */
export type RequestContext<R extends Route = Route> = {
  /** Proof of what the route demands; null on a public route. */
  access: ProofOf<R['access']>;
  requestId: string;
  /** Set when the caller sent the header idempotency-key. */
  idempotency: Idempotency | undefined;
  /** The generation of the header if-match. */
  ifMatch: number | undefined;
  /** The header last-event-id of a stream that is resumed. */
  lastEventId: string | undefined;
  /** Aborts when the client has gone, or the server closes. */
  signal: AbortSignal;
};

type Answer<R extends Route> = R extends { transport: 'events' }
  ? EventFeed
  : R extends { transport: 'websocket' }
    ? Duplex
    : RouteResult<R>;

/** The bytes of a route that takes them. */
type Content<R extends Route> = R extends { content: 'octets' } ? { content: Readable } : unknown;

export type Handler<R extends Route> = (
  request: RouteArguments<R> & Content<R> & RequestContext<R>,
) => Promise<Answer<R>>;

export type Handlers = { [K in RouteName]: Handler<Api[K]> };
