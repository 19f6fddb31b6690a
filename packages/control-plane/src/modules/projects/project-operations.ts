// Projects and who is a member of them.
import { VirgaError } from '@virga/contract/errors';
import { newId, type ProjectId, type UserId } from '@virga/contract/ids';
import type { Membership, Project } from '@virga/contract/rest/identity';
import type { ProjectRole } from '@virga/contract/route';
import { type Selectable, sql } from 'kysely';
import {
  type CloudAccess,
  type ProjectAccess,
  projectNotFound,
  type SystemAccess,
  type UserAccess,
} from '../../access/authorizer.ts';
import { appendEvent } from '../../events/event-log.ts';
import { brokenConstraint, type Db, inTransaction, sqlState, type Tx } from '../../store/database.ts';
import { type Idempotency, onceOnly } from '../../store/once-only.ts';
import { fetchPage, type PageRequest } from '../../store/page.ts';
import type { Database } from '../../store/schema.ts';
import { userNotFound } from '../identity/identity-operations.ts';
import type { KeptProject } from './kept-project.ts';

export async function listProjects(db: Db, access: UserAccess, { name, ...page }: PageRequest & { name?: string }) {
  let query = db.selectFrom('projects').selectAll('projects');
  if (access.cloudRole === 'none') {
    query = query.where('projects.id', 'in', (members) =>
      members.selectFrom('project_members').select('project_id').where('user_id', '=', access.actor.userId!),
    );
  }
  if (name !== undefined) query = query.where('projects.name', '=', name);
  return fetchPage(query, 'projects', page, toProject);
}

export async function getProject(db: Db, id: ProjectId): Promise<Project> {
  const row = await db.selectFrom('projects').selectAll().where('id', '=', id).executeTakeFirst();
  if (!row) throw projectNotFound();
  return toProject(row);
}

export function createProject(
  db: Db,
  access: CloudAccess<'admin'>,
  body: { name: string; description?: string | undefined },
  idempotency?: Idempotency,
): Promise<Project> {
  return onceOnly(db, idempotency, (tx) => insertProject(tx, access, body));
}

export async function insertProject(
  tx: Tx,
  access: CloudAccess<'admin'> | SystemAccess,
  { name, description = '' }: { name: string; description?: string | undefined },
): Promise<Project> {
  try {
    const row = await tx
      .insertInto('projects')
      .values({ id: newId('project'), name, description })
      .returningAll()
      .executeTakeFirstOrThrow();
    await appendEvent(tx, access, {
      type: 'project.created',
      projectId: row.id,
      resourceId: row.id,
      resourceName: name,
      message: `Project ${name} was created.`,
    });
    return toProject(row);
  } catch (error) {
    if (brokenConstraint(error) !== 'projects_name_taken') throw error;
    throw new VirgaError('NameTaken', {
      detail: `A project named ${name} exists.`,
      action: 'Choose another name.',
      field: '/name',
    });
  }
}

/**
 * The project that something came from: the one of that id, else of that name, else the given one; null: it is made again.
 */
export async function adoptProject(
  tx: Tx,
  access: SystemAccess,
  { id, name, description, createdAt }: KeptProject,
  otherwise: ProjectId | null,
): Promise<ProjectId> {
  const found = await tx
    .selectFrom('projects')
    .select('id')
    .where((where) => where.or([where('id', '=', id as ProjectId), where('name', '=', name)]))
    .orderBy((order) => order('id', '=', id as ProjectId), 'desc')
    .executeTakeFirst();
  if (found) return found.id;
  if (otherwise !== null) return otherwise;
  await sql`insert into projects (id, name, description, created_at)
    values (${id}, ${name}, ${description}, ${createdAt}::timestamptz)`.execute(tx);
  await appendEvent(tx, access, {
    ...{ type: 'project.created', projectId: id as ProjectId, resourceId: id, resourceName: name },
    message: `Project ${name} was made again, for what belongs to it.`,
  });
  return id as ProjectId;
}

const foreignKeyViolation = '23503';

/** @throws InUse the project still has resources */
export async function deleteProject(db: Db, access: CloudAccess<'admin'>, id: ProjectId): Promise<void> {
  await inTransaction(db, async (tx) => {
    const live = await tx
      .selectFrom('operations')
      .select('id')
      .where('project_id', '=', id)
      .where('state', 'in', ['queued', 'running'])
      .limit(1)
      .executeTakeFirst();
    if (live) throw projectInUse(id);
    try {
      const row = await tx.deleteFrom('projects').where('id', '=', id).returningAll().executeTakeFirst();
      if (!row) {
        throw new VirgaError('NotFound', {
          detail: `There is no project ${id}.`,
          action: 'List projects with virga projects list.',
        });
      }
      await appendEvent(tx, access, {
        type: 'project.deleted',
        projectId: id,
        resourceId: id,
        resourceName: row.name,
        message: `Project ${row.name} was deleted.`,
      });
    } catch (error) {
      if (sqlState(error) === foreignKeyViolation) throw projectInUse(id);
      throw error;
    }
  });
}

function projectInUse(id: ProjectId): VirgaError {
  return new VirgaError('InUse', {
    detail: `Project ${id} still has resources.`,
    action: 'Delete its instances, volumes, images, networks and key pairs first.',
  });
}

export async function listMembers(db: Db, access: ProjectAccess): Promise<{ items: Membership[] }> {
  const rows = await db
    .selectFrom('project_members as m')
    .innerJoin('users as u', 'u.id', 'm.user_id')
    .where('m.project_id', '=', access.projectId)
    .select(['u.id', 'u.name', 'm.role'])
    .orderBy('u.name')
    .execute();
  return { items: rows.map(({ id, name, role }) => ({ userId: id, userName: name, role })) };
}

export async function setMember(
  db: Db,
  access: ProjectAccess<'admin'>,
  userId: UserId,
  role: ProjectRole,
): Promise<Membership> {
  return inTransaction(db, async (tx) => {
    const user = await tx.selectFrom('users').select('name').where('id', '=', userId).executeTakeFirst();
    if (!user) throw userNotFound(userId);
    await insertMember(tx, access, access.projectId, userId, role);
    return { userId, userName: user.name, role };
  });
}

export async function insertMember(
  tx: Tx,
  access: ProjectAccess<'admin'> | SystemAccess,
  projectId: ProjectId,
  userId: UserId,
  role: ProjectRole,
): Promise<void> {
  const changed = await tx
    .insertInto('project_members')
    .values({ project_id: projectId, user_id: userId, role })
    .onConflict((conflict) =>
      conflict.columns(['project_id', 'user_id']).doUpdateSet({ role }).where('project_members.role', '!=', role),
    )
    .returning('role')
    .executeTakeFirst();
  if (!changed) return;
  await appendEvent(tx, access, {
    type: 'member.set',
    projectId,
    resourceId: userId,
    message: `User ${userId} has the role ${role} in the project.`,
    data: { role },
  });
}

export async function removeMember(db: Db, access: ProjectAccess<'admin'>, userId: UserId): Promise<void> {
  await inTransaction(db, async (tx) => {
    const { numDeletedRows } = await tx
      .deleteFrom('project_members')
      .where('project_id', '=', access.projectId)
      .where('user_id', '=', userId)
      .executeTakeFirst();
    if (numDeletedRows === 0n) throw userNotFound(userId);
    await appendEvent(tx, access, {
      type: 'member.removed',
      projectId: access.projectId,
      resourceId: userId,
      message: `User ${userId} is no longer a member of the project.`,
    });
  });
}

export function toProject(row: Selectable<Database['projects']>): Project {
  return { id: row.id, name: row.name, description: row.description, createdAt: row.created_at.toISOString() };
}
