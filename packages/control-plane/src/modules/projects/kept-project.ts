// A project as it lies on hosts with what belongs to it, so that a lost database can be rebuilt from there.
import { type RawBuilder, sql } from 'kysely';

export type KeptProject = { id: string; name: string; description: string; createdAt: string };

/** Column of a query of a table whose rows belong to projects. */
export const keptProject = (
  table: 'instances' | 'networks' | 'images' | 'backups',
): RawBuilder<KeptProject> => sql<KeptProject>`(
  select json_build_object('id', p.id, 'name', p.name, 'description', p.description, 'createdAt', p.created_at)
  from projects p where p.id = ${sql.ref(`${table}.project_id`)})`;
