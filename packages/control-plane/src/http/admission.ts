// Who is asking, for which project, and whether the route lets them in. Runs before the body is read, so that a stranger
// cannot make the server do work. Nothing is cached: a key that is revoked is refused from the next request on.
import { VirgaError } from '@virga/contract/errors';
import type { Access, Route } from '@virga/contract/route';
import type { FastifyRequest } from 'fastify';
import { authorize, type Caller, effectiveRole, type ProofOf, projectNotFound } from '../access/authorizer.ts';
import { findSignedInUser } from '../modules/projects/signed-in-user.ts';
import type { FrontDeps } from './handler.ts';

export type Admission = { caller: Caller | null; access: ProofOf<Access> };

/** @throws Unauthenticated | Forbidden | NotFound (the project) */
export async function admit(deps: FrontDeps, route: Route, request: FastifyRequest): Promise<Admission> {
  if (route.access.scope === 'public') return { caller: null, access: null };
  const caller = await authenticate(deps, request);
  return { caller, access: authorize(caller, route.access) };
}

async function authenticate({ db, clock }: FrontDeps, request: FastifyRequest): Promise<Caller> {
  const credentials = readBasic(request.headers.authorization);
  const named = readProject(request);
  const user = credentials && (await findSignedInUser(db, credentials, named, clock.now()));
  if (!user) throw unauthenticated(credentials !== undefined);
  const { userId, name, cloudRole, project } = user;
  const caller: Caller = { actor: { userId, name }, cloudRole, project, requestId: request.id };
  if (named !== undefined && effectiveRole(caller) === null) throw projectNotFound();
  return caller;
}

function readProject(request: FastifyRequest): string | undefined {
  const named = request.headers['virga-project'];
  return typeof named === 'string' && named !== '' ? named : undefined;
}

/** Access key id and secret of HTTP basic authentication. @see RFC 7617 */
function readBasic(header: string | undefined): { accessKeyId: string; secret: string } | undefined {
  const [, base64] = /^Basic ([A-Za-z0-9+/]{1,1024}={0,2})$/i.exec(header ?? '') ?? [];
  if (!base64) return undefined;
  const [, accessKeyId, secret] = /^([^:]+):(.+)$/s.exec(Buffer.from(base64, 'base64').toString()) ?? [];
  return accessKeyId && secret && !accessKeyId.includes('\0') ? { accessKeyId, secret } : undefined;
}

function unauthenticated(tried: boolean): VirgaError {
  return new VirgaError('Unauthenticated', {
    detail: tried ? 'The API key is wrong, revoked or expired.' : 'The request has no API key.',
    action: 'Sign in with virga login, or send access key id and secret by HTTP basic authentication.',
  });
}
