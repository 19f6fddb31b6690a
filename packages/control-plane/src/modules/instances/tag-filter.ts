// Tags as a condition of a list: KEY, or KEY=VALUE. Reads the index of just the instances that have tags.
import { type Expression, type SqlBool, sql } from 'kysely';

/** All of them must be there. */
export function hasTags(filters: readonly string[]): Expression<SqlBool> {
  const conditions = filters.map((filter) => {
    const end = filter.indexOf('=');
    if (end < 0) return sql`instances.tags ? ${filter}`;
    const tag = JSON.stringify({ [filter.slice(0, end)]: filter.slice(end + 1) });
    return sql`instances.tags @> ${tag}::jsonb`;
  });
  return sql<SqlBool>`(instances.tags <> '{}' and ${sql.join(conditions, sql` and `)})`;
}
