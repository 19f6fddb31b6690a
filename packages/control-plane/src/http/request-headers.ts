// The headers that change what a request means: idempotency-key, if-match, last-event-id.
import { createHmac } from 'node:crypto';
import { VirgaError } from '@virga/contract/errors';
import type { Route } from '@virga/contract/route';
import type { FastifyRequest } from 'fastify';
import type { Idempotency } from '../store/once-only.ts';
import type { Admission } from './admission.ts';

/**
 * @param key of the digest: a body can hold a password, whose plain hash could be searched for
 * @throws InvalidArgument the key is empty, too long or has odd characters
 */
export function readIdempotency(
  request: FastifyRequest,
  { caller }: Admission,
  routeName: string,
  body: unknown,
  key: Buffer,
): Idempotency | undefined {
  const header = request.headers['idempotency-key'];
  if (header === undefined || !caller) return undefined;
  if (typeof header !== 'string' || !/^[\x21-\x7e]{1,255}$/.test(header)) {
    throw new VirgaError('InvalidArgument', {
      detail: 'The idempotency key must have 1 to 255 printable characters without spaces.',
      action: 'Use a random UUID.',
    });
  }
  const text = JSON.stringify([routeName, caller.project?.id ?? null, sorted(body)]);
  const requestSha256 = createHmac('sha256', key).update(text).digest();
  return { userId: caller.actor.userId, key: header, requestSha256 };
}

/** The same for objects that differ only in the order of their fields. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, inner]) => [name, sorted(inner)]),
  );
}

/**
 * The generation that the caller has read; undefined for `*` and when there is no header.
 * @throws InvalidArgument also on a route that would not heed it
 */
export function readIfMatch(request: FastifyRequest, { ifMatch }: Route): number | undefined {
  const header = request.headers['if-match'];
  if (header === undefined) return undefined;
  if (!ifMatch) {
    throw new VirgaError('InvalidArgument', {
      detail: 'This request does not take the header if-match.',
      action: 'Send it without.',
    });
  }
  if (header === '*') return undefined;
  const [, digits] = /^"(\d{1,15})"$/.exec(header) ?? [];
  if (digits) return Number(digits);
  throw new VirgaError('InvalidArgument', {
    detail: 'The header if-match must be the generation of the resource in double quotes.',
    action: 'Send for instance if-match: "3".',
  });
}

export function readLastEventId(request: FastifyRequest): string | undefined {
  const header = request.headers['last-event-id'];
  return typeof header === 'string' && header !== '' ? header : undefined;
}
