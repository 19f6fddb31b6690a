// Projects, users, memberships and API keys.
import { type Static, Type } from 'typebox';
import { IdSchema } from '../ids.ts';
import { cloudRoles, projectRoles, route } from '../route.ts';
import { idParams, ListQuery, Name, Nothing, Nullable, Page, Time } from './shared.ts';

const ProjectRoleSchema = Type.Enum(projectRoles);
const CloudRoleSchema = Type.Enum(cloudRoles);

export const Project = Type.Object(
  { id: IdSchema('project'), name: Name, description: Type.String(), createdAt: Time },
  { $id: 'Project' },
);
export type Project = Static<typeof Project>;

export const User = Type.Object(
  { id: IdSchema('user'), name: Name, cloudRole: CloudRoleSchema, createdAt: Time },
  { $id: 'User' },
);
export type User = Static<typeof User>;

export const Membership = Type.Object(
  { userId: IdSchema('user'), userName: Name, role: ProjectRoleSchema },
  { $id: 'Membership' },
);
export type Membership = Static<typeof Membership>;

export const ApiKey = Type.Object(
  {
    accessKeyId: Type.String({ pattern: '^VK[A-Z2-7]{18}$' }),
    userId: IdSchema('user'),
    projectId: Nullable(IdSchema('project')),
    description: Type.String(),
    createdAt: Time,
    expiresAt: Nullable(Time),
  },
  { $id: 'ApiKey' },
);
export type ApiKey = Static<typeof ApiKey>;

/** An API key together with its secret, which is shown this once. */
export const ApiKeyWithSecret = Type.Object(
  { apiKey: ApiKey, secret: Type.String({ description: 'shown only now' }) },
  { $id: 'ApiKeyWithSecret' },
);
export type ApiKeyWithSecret = Static<typeof ApiKeyWithSecret>;

const Password = Type.String({ minLength: 12, maxLength: 1024 });

export const Caller = Type.Object(
  { user: User, project: Nullable(Project), projectRole: Nullable(ProjectRoleSchema) },
  { $id: 'Caller' },
);
export type Caller = Static<typeof Caller>;

export const identityRoutes = {
  login: route({
    method: 'POST',
    path: '/v1/login',
    summary: 'Exchange user name and password for an API key',
    access: { scope: 'public' },
    body: Type.Object(
      {
        user: Type.String({ minLength: 1, maxLength: 63 }),
        password: Type.String({ minLength: 1, maxLength: 1024 }),
        project: Type.Optional(
          Type.String({ maxLength: 63, description: 'project name; default the only or first one' }),
        ),
      },
      { additionalProperties: false },
    ),
    ok: ApiKeyWithSecret,
    status: 201,
  }),
  getCaller: route({
    method: 'GET',
    path: '/v1/caller',
    summary: 'Who the caller is',
    access: { scope: 'user' },
    ok: Caller,
  }),
  listProjects: route({
    method: 'GET',
    path: '/v1/projects',
    summary: 'List the projects that the caller may see',
    access: { scope: 'user' },
    query: ListQuery,
    ok: Page(Project),
  }),
  createProject: route({
    method: 'POST',
    path: '/v1/projects',
    summary: 'Create a project',
    access: { scope: 'cloud', role: 'admin' },
    body: Type.Object(
      { name: Name, description: Type.Optional(Type.String({ maxLength: 1000 })) },
      { additionalProperties: false },
    ),
    ok: Project,
    status: 201,
  }),
  deleteProject: route({
    method: 'DELETE',
    path: '/v1/projects/{id}',
    summary: 'Delete an empty project',
    access: { scope: 'cloud', role: 'admin' },
    params: idParams('project'),
    ok: Nothing,
  }),
  listMembers: route({
    method: 'GET',
    path: '/v1/members',
    summary: 'List the members of the project',
    access: { scope: 'project', role: 'viewer' },
    ok: Page(Membership),
  }),
  setMember: route({
    method: 'PUT',
    path: '/v1/members/{id}',
    summary: 'Give a user a role in the project',
    access: { scope: 'project', role: 'admin' },
    params: idParams('user'),
    body: Type.Object({ role: ProjectRoleSchema }, { additionalProperties: false }),
    ok: Membership,
  }),
  removeMember: route({
    method: 'DELETE',
    path: '/v1/members/{id}',
    summary: 'Take a user out of the project',
    access: { scope: 'project', role: 'admin' },
    params: idParams('user'),
    ok: Nothing,
  }),
  listUsers: route({
    method: 'GET',
    path: '/v1/users',
    summary: 'List users',
    access: { scope: 'cloud', role: 'viewer' },
    query: ListQuery,
    ok: Page(User),
  }),
  createUser: route({
    method: 'POST',
    path: '/v1/users',
    summary: 'Create a user',
    access: { scope: 'cloud', role: 'admin' },
    body: Type.Object(
      { name: Name, password: Type.Optional(Password), cloudRole: Type.Optional(CloudRoleSchema) },
      { additionalProperties: false },
    ),
    ok: User,
    status: 201,
  }),
  deleteUser: route({
    method: 'DELETE',
    path: '/v1/users/{id}',
    summary: 'Delete a user and every API key of the user',
    access: { scope: 'cloud', role: 'admin' },
    params: idParams('user'),
    ok: Nothing,
  }),
  listApiKeys: route({
    method: 'GET',
    path: '/v1/api-keys',
    summary: 'List the API keys of the caller',
    access: { scope: 'user' },
    ok: Page(ApiKey),
  }),
  createApiKey: route({
    method: 'POST',
    path: '/v1/api-keys',
    summary: 'Create an API key for the caller, or, as cloud administrator, for another user',
    access: { scope: 'user' },
    body: Type.Object(
      {
        userId: Type.Optional(IdSchema('user')),
        projectId: Type.Optional(IdSchema('project')),
        description: Type.Optional(Type.String({ maxLength: 255 })),
        expiresAt: Type.Optional(Time),
      },
      { additionalProperties: false },
    ),
    ok: ApiKeyWithSecret,
    status: 201,
  }),
  deleteApiKey: route({
    method: 'DELETE',
    path: '/v1/api-keys/{accessKeyId}',
    summary: 'Revoke an API key of the caller',
    access: { scope: 'user' },
    params: Type.Object({ accessKeyId: Type.String({ maxLength: 64 }) }),
    ok: Nothing,
  }),
};
