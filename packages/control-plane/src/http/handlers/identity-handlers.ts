// Signing in, the caller, projects, members, users and API keys.
import type { identityRoutes } from '@virga/contract/rest/identity';
import { effectiveRole } from '../../access/authorizer.ts';
import { listApiKeys, revokeApiKey } from '../../modules/identity/api-keys.ts';
import {
  createApiKey,
  createUser,
  deleteUser,
  getUser,
  listUsers,
  login,
} from '../../modules/identity/identity-operations.ts';
import {
  createProject,
  deleteProject,
  getProject,
  listMembers,
  listProjects,
  removeMember,
  setMember,
} from '../../modules/projects/project-operations.ts';
import type { FrontDeps, Handlers } from '../handler.ts';

export function identityHandlers(deps: FrontDeps): Pick<Handlers, keyof typeof identityRoutes> {
  const { db } = deps;
  return {
    login: ({ body, requestId }) => login(deps, body, requestId),
    async getCaller({ access }) {
      const user = await getUser(db, access.actor.userId!);
      const project = access.project === null ? null : await getProject(db, access.project.id);
      return { user, project, projectRole: effectiveRole(access) };
    },
    listProjects: ({ access, query }) => listProjects(db, access, query),
    createProject: ({ access, body, idempotency }) => createProject(db, access, body, idempotency),
    async deleteProject({ access, params }) {
      await deleteProject(db, access, params.id);
      return {};
    },
    listMembers: ({ access }) => listMembers(db, access),
    setMember: ({ access, params, body }) => setMember(db, access, params.id, body.role),
    async removeMember({ access, params }) {
      await removeMember(db, access, params.id);
      return {};
    },
    listUsers: ({ access, query }) => listUsers(db, access, query),
    createUser: ({ access, body, idempotency }) => createUser(db, access, body, idempotency),
    async deleteUser({ access, params }) {
      await deleteUser(db, access, params.id);
      return {};
    },
    listApiKeys: ({ access }) => listApiKeys(db, access),
    createApiKey: ({ access, body, idempotency }) => createApiKey(deps, access, body, idempotency),
    async deleteApiKey({ access, params }) {
      await revokeApiKey(db, access, params.accessKeyId);
      return {};
    },
  };
}
