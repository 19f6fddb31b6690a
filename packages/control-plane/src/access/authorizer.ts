// The only source of authorization proofs. Every write to the store takes a proof, and a proof can only be made here, so
// that forgetting the check does not compile. It answers: who may do what. It does not know passwords or keys.
import { VirgaError } from '@virga/contract/errors';
import type { ProjectId, UserId } from '@virga/contract/ids';
import { type Access, type CloudRole, cloudRoles, type ProjectRole, projectRoles } from '@virga/contract/route';

export type Actor = { userId: UserId | null; name: string };

declare const proof: unique symbol;
/** What each role includes. */
type Included = {
  viewer: { viewer: true };
  operator: { viewer: true; operator: true };
  admin: { viewer: true; operator: true; admin: true };
};

/** Somebody signed in; `project` is the one that the request names, if any. */
export type UserAccess = {
  readonly actor: Actor;
  readonly cloudRole: CloudRole;
  readonly project: Caller['project'];
  readonly requestId: string;
  readonly [proof]: 'user';
};

// Interfaces, whose parameter is what a role includes: proofs compare by that, and not by the name of the role.
interface ProjectProof<Roles> {
  readonly projectId: ProjectId;
  readonly actor: Actor;
  readonly cloudRole: CloudRole;
  readonly requestId: string;
  readonly [proof]: { project: Roles };
}

interface CloudProof<Roles> {
  /** The project that the request names, if any. */
  readonly projectId: ProjectId | null;
  readonly actor: Actor;
  readonly cloudRole: CloudRole;
  readonly requestId: string;
  readonly [proof]: { cloud: Roles };
}

/** Proof of at least role `R` in the project. An admin's proof passes for an operator's, and that for a viewer's. */
export type ProjectAccess<R extends ProjectRole = ProjectRole> = ProjectProof<Included[R]>;

/** Proof of at least role `R` for the whole cloud. */
export type CloudAccess<R extends Exclude<CloudRole, 'none'> = 'viewer'> = CloudProof<Included[R]>;

/** What Virga does by itself: reconcilers and workflows. Made in system-access.ts. */
export type SystemAccess = { readonly actor: Actor; readonly requestId: null; readonly [proof]: 'system' };

/** Any proof that allows to write into the project. */
export type WriteAccess = ProjectAccess<'operator'> | CloudAccess<'admin'> | SystemAccess;

/** Who is asking, as authentication found out, and for which project. */
export type Caller = {
  actor: Actor & { userId: UserId };
  cloudRole: CloudRole;
  project: { id: ProjectId; role: ProjectRole | null } | null;
  requestId: string;
};

/** The proof that a route's demand leads to. */
export type ProofOf<A extends Access> = A extends { scope: 'user' }
  ? UserAccess
  : A extends { scope: 'project'; role: infer R extends ProjectRole }
    ? ProjectAccess<R>
    : A extends { scope: 'cloud'; role: infer R extends Exclude<CloudRole, 'none'> }
      ? CloudAccess<R>
      : null;

/** The role in the project: a cloud administrator is admin in every one, a cloud viewer at least viewer. */
export function effectiveRole({ cloudRole, project }: Pick<Caller, 'cloudRole' | 'project'>): ProjectRole | null {
  if (!project) return null;
  if (cloudRole === 'admin') return 'admin';
  return project.role ?? (cloudRole === 'viewer' ? 'viewer' : null);
}

/**
 * Checks what a route demands.
 * @throws Forbidden the caller's role is too small
 * @throws NotFound the project does not exist for this caller
 */
export function authorize<const A extends Exclude<Access, { scope: 'public' }>>(caller: Caller, access: A): ProofOf<A> {
  const { actor, cloudRole, requestId } = caller;
  const base = { actor, cloudRole, requestId };
  if (access.scope === 'user') return { ...base, project: caller.project } as unknown as ProofOf<A>;
  if (access.scope === 'cloud') {
    if (cloudRoles.indexOf(cloudRole) < cloudRoles.indexOf(access.role)) {
      throw forbidden(`the cloud role ${access.role}`);
    }
    return { ...base, projectId: caller.project?.id ?? null } as unknown as ProofOf<A>;
  }
  const role = effectiveRole(caller);
  if (!caller.project || role === null) throw projectNotFound();
  if (projectRoles.indexOf(role) < projectRoles.indexOf(access.role)) {
    throw forbidden(`the role ${access.role} in the project`);
  }
  return { ...base, projectId: caller.project.id } as unknown as ProofOf<A>;
}

/** The project that a request is about. @throws InvalidArgument it names none */
export function projectOf(access: ProjectAccess | CloudAccess): ProjectId {
  if (access.projectId !== null) return access.projectId;
  throw new VirgaError('InvalidArgument', {
    detail: 'The request names no project, and the API key belongs to none.',
    action: 'Name a project with --project, or with the header virga-project.',
  });
}

/** The same for a project that does not exist and for one that the caller may not know of. */
export function projectNotFound(): VirgaError {
  return new VirgaError('NotFound', {
    detail: 'The project does not exist, or you are no member of it.',
    action: 'List your projects with virga projects, and name one with --project.',
  });
}

function forbidden(needed: string): VirgaError {
  return new VirgaError('Forbidden', {
    detail: `This needs ${needed}.`,
    action: 'Ask an administrator of the project or of the cloud for it.',
  });
}
