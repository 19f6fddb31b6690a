// Users and signing in. What both fronts call; the rules of API keys and passwords are next door.
import { VirgaError } from '@virga/contract/errors';
import { newId, type ProjectId, type UserId } from '@virga/contract/ids';
import type { ApiKeyWithSecret, User } from '@virga/contract/rest/identity';
import type { CloudRole } from '@virga/contract/route';
import type { Selectable } from 'kysely';
import { authorize, type CloudAccess, type SystemAccess, type UserAccess } from '../../access/authorizer.ts';
import type { Clock } from '../../deps.ts';
import { appendEvent } from '../../events/event-log.ts';
import { brokenConstraint, type Db, inTransaction, type Tx } from '../../store/database.ts';
import { type Idempotency, onceOnly } from '../../store/once-only.ts';
import { fetchPage, type PageRequest } from '../../store/page.ts';
import type { Database } from '../../store/schema.ts';
import { insertApiKey, type NewApiKey, secretOf } from './api-keys.ts';
import { hashPassword, passwordMatches } from './password.ts';
import type { Seal } from './seal.ts';

const loginKeyLifetimeMs = 30 * 24 * 3600 * 1000;

/**
 * Exchanges user name and password for an API key that expires after 30 days.
 * @throws Unauthenticated the same for an unknown user, a user without a password and a wrong password
 */
export async function login(
  { db, seal, clock }: { db: Db; seal: Seal; clock: Clock },
  { user, password, project }: { user: string; password: string; project?: string | undefined },
  requestId: string,
): Promise<ApiKeyWithSecret> {
  const row = await db.selectFrom('users').selectAll().where('name', '=', user).executeTakeFirst();
  const matches = await passwordMatches(password, row?.password_hash ?? null);
  if (!row || !matches) {
    throw new VirgaError('Unauthenticated', {
      detail: 'The user name or the password is wrong.',
      action: 'Try again, or ask an administrator for a new password.',
    });
  }
  const projectId = await loginProject(db, row, project);
  const actor = { userId: row.id, name: row.name };
  const access = authorize({ actor, cloudRole: row.cloud_role, project: null, requestId }, { scope: 'user' });
  return inTransaction(db, (tx) =>
    insertApiKey(tx, access, seal, {
      userId: row.id,
      projectId,
      description: 'login',
      expiresAt: new Date(clock.now().getTime() + loginKeyLifetimeMs),
    }),
  );
}

async function loginProject(db: Db, user: Selectable<Database['users']>, name?: string): Promise<ProjectId | null> {
  let query = db.selectFrom('projects as p').select(['p.id']).orderBy('p.created_at').limit(1);
  if (user.cloud_role === 'none') {
    query = query.innerJoin('project_members as m', 'm.project_id', 'p.id').where('m.user_id', '=', user.id);
  }
  if (name !== undefined) query = query.where('p.name', '=', name);
  const row = await query.executeTakeFirst();
  if (row || name === undefined) return row?.id ?? null;
  throw new VirgaError('NotFound', {
    detail: `You are no member of a project named ${name}.`,
    action: 'Log in without a project to see yours.',
    field: '/project',
  });
}

export async function createUser(
  db: Db,
  access: CloudAccess<'admin'>,
  { name, password, cloudRole = 'none' }: { name: string; password?: string; cloudRole?: CloudRole },
  idempotency?: Idempotency,
): Promise<User> {
  const passwordHash = password === undefined ? null : await hashPassword(password);
  return onceOnly(db, idempotency, (tx) => insertUser(tx, access, { name, passwordHash, cloudRole }));
}

export async function insertUser(
  tx: Tx,
  access: CloudAccess<'admin'> | SystemAccess,
  { name, passwordHash, cloudRole }: { name: string; passwordHash: string | null; cloudRole: CloudRole },
): Promise<User> {
  try {
    const row = await tx
      .insertInto('users')
      .values({ id: newId('user'), name, password_hash: passwordHash, cloud_role: cloudRole })
      .returningAll()
      .executeTakeFirstOrThrow();
    await appendEvent(tx, access, {
      type: 'user.created',
      projectId: null,
      resourceId: row.id,
      resourceName: name,
      message: `User ${name} was created.`,
      data: { cloudRole },
    });
    return toUser(row);
  } catch (error) {
    if (brokenConstraint(error) !== 'users_name_taken') throw error;
    throw new VirgaError('NameTaken', {
      detail: `A user named ${name} exists.`,
      action: 'Choose another name.',
      field: '/name',
    });
  }
}

/** The administrator of a new cloud; one that is there gets this password, and nothing else changes. */
export async function adoptAdministrator(
  tx: Tx,
  access: SystemAccess,
  { name, passwordHash }: { name: string; passwordHash: string },
): Promise<UserId> {
  const found = await tx
    .updateTable('users')
    .set({ password_hash: passwordHash, cloud_role: 'admin' })
    .where('name', '=', name)
    .returning('id')
    .executeTakeFirst();
  return found ? found.id : (await insertUser(tx, access, { name, passwordHash, cloudRole: 'admin' })).id;
}

export async function listUsers(db: Db, _access: CloudAccess, { name, ...page }: PageRequest & { name?: string }) {
  let query = db.selectFrom('users').selectAll();
  if (name !== undefined) query = query.where('name', '=', name);
  return fetchPage(query, 'users', page, toUser);
}

/** @throws Conflict the last cloud administrator cannot go */
export async function deleteUser(db: Db, access: CloudAccess<'admin'>, id: UserId): Promise<void> {
  await inTransaction(db, async (tx) => {
    const admins = await tx.selectFrom('users').select('id').where('cloud_role', '=', 'admin').forUpdate().execute();
    if (admins.length === 1 && admins[0]?.id === id) {
      throw new VirgaError('Conflict', {
        detail: 'This is the last administrator of the cloud.',
        action: 'Make another user administrator first.',
      });
    }
    const row = await tx.deleteFrom('users').where('id', '=', id).returningAll().executeTakeFirst();
    if (!row) throw userNotFound(id);
    await appendEvent(tx, access, {
      type: 'user.deleted',
      projectId: null,
      resourceId: id,
      resourceName: row.name,
      message: `User ${row.name} was deleted.`,
    });
  });
}

/**
 * Creates an API key for the caller. A cloud administrator may create one for another user. What is kept for a repeated
 * request has no secret in it: that is read back from where it is sealed.
 * @throws Forbidden for somebody else
 * @throws NotFound for a project that the user is no member of
 */
export async function createApiKey(
  { db, seal, clock }: { db: Db; seal: Seal; clock: Clock },
  access: UserAccess,
  request: { userId?: UserId; projectId?: ProjectId; description?: string; expiresAt?: string },
  idempotency?: Idempotency,
): Promise<ApiKeyWithSecret> {
  const userId = request.userId ?? access.actor.userId!;
  if (userId !== access.actor.userId && access.cloudRole !== 'admin') {
    throw new VirgaError('Forbidden', {
      detail: 'Only a cloud administrator creates API keys for other users.',
      action: 'Leave the user out to create one for yourself.',
      field: '/userId',
    });
  }
  const expiresAt = request.expiresAt === undefined ? null : new Date(request.expiresAt);
  if (expiresAt !== null && !(expiresAt > clock.now())) {
    throw new VirgaError('InvalidArgument', {
      detail: 'The API key would have expired already.',
      action: 'Give a time in the future, or none for a key that does not expire.',
      field: '/expiresAt',
    });
  }
  const apiKey = await onceOnly(db, idempotency, async (tx) => {
    const user = await tx.selectFrom('users').selectAll().where('id', '=', userId).executeTakeFirst();
    if (!user) throw userNotFound(userId);
    if (request.projectId !== undefined) await requireMembership(tx, user, request.projectId);
    const key: NewApiKey = {
      userId,
      projectId: request.projectId ?? null,
      description: request.description ?? '',
      expiresAt,
    };
    return (await insertApiKey(tx, access, seal, key)).apiKey;
  });
  return { apiKey, secret: await secretOf(db, access, seal, apiKey.accessKeyId) };
}

async function requireMembership(tx: Tx, user: Selectable<Database['users']>, projectId: ProjectId): Promise<void> {
  const found =
    user.cloud_role !== 'none'
      ? await tx.selectFrom('projects').select('id').where('id', '=', projectId).executeTakeFirst()
      : await tx
          .selectFrom('project_members')
          .select('project_id')
          .where('project_id', '=', projectId)
          .where('user_id', '=', user.id)
          .executeTakeFirst();
  if (found) return;
  throw new VirgaError('NotFound', {
    detail: `User ${user.name} is no member of project ${projectId}.`,
    action: 'Add the user to the project first.',
    field: '/projectId',
  });
}

export async function getUser(db: Db, id: UserId): Promise<User> {
  const row = await db.selectFrom('users').selectAll().where('id', '=', id).executeTakeFirst();
  if (!row) throw userNotFound(id);
  return toUser(row);
}

export function userNotFound(id: UserId): VirgaError {
  return new VirgaError('NotFound', { detail: `There is no user ${id}.`, action: 'List users with virga users list.' });
}

function toUser(row: Selectable<Database['users']>): User {
  return { id: row.id, name: row.name, cloudRole: row.cloud_role, createdAt: row.created_at.toISOString() };
}
