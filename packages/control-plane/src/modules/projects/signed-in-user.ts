// Who an API key belongs to, and what the owner is in the project that a request is about: one query for every request.
import { isId, type ProjectId, type UserId } from '@virga/contract/ids';
import type { CloudRole, ProjectRole } from '@virga/contract/route';
import type { Db } from '../../store/database.ts';
import { type Credentials, isSecretOf } from '../identity/api-keys.ts';

export type SignedInUser = {
  userId: UserId;
  name: string;
  cloudRole: CloudRole;
  /** The project that was named, else that of the key; null when there is none, or no such project. */
  project: { id: ProjectId; role: ProjectRole | null } | null;
};

/** @returns undefined when there is no such key, its secret is another one, or it has expired */
export async function findSignedInUser(
  db: Db,
  { accessKeyId, secret }: Credentials,
  projectNamed: string | undefined,
  now: Date,
): Promise<SignedInUser | undefined> {
  const row = await db
    .selectFrom('api_keys as k')
    .innerJoin('users as u', 'u.id', 'k.user_id')
    .leftJoin('projects as p', (join) =>
      projectNamed === undefined
        ? join.onRef('p.id', '=', 'k.project_id')
        : join.on(isId('project', projectNamed) ? 'p.id' : 'p.name', '=', projectNamed),
    )
    .leftJoin('project_members as m', (join) => join.onRef('m.project_id', '=', 'p.id').onRef('m.user_id', '=', 'u.id'))
    .where('k.access_key_id', '=', accessKeyId)
    .select(['k.secret_sha256', 'k.expires_at', 'u.id as user_id', 'u.name', 'u.cloud_role'])
    .select(['p.id as project_id', 'm.role'])
    .executeTakeFirst();
  if (!isSecretOf(row, secret, now) || !row) return undefined;
  const project = row.project_id === null ? null : { id: row.project_id, role: row.role };
  return { userId: row.user_id, name: row.name, cloudRole: row.cloud_role, project };
}
