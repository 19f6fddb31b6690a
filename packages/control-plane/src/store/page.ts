// Keyset pagination: a cursor names the last row of the page, so a page costs the same at any depth and rows that come
// or go between two pages are neither repeated nor skipped.
import { VirgaError } from '@virga/contract/errors';
import { type Expression, type SelectQueryBuilder, type SqlBool, sql } from 'kysely';

export type PageRequest = { limit?: number | undefined; cursor?: string | undefined };
type Keyed = { created_at: Date; id: string };

const defaultLimit = 100;

/**
 * One page of rows ordered by (created_at, id). Wants an index on the filter columns, created_at and id.
 * @param table the alias whose columns are the key
 */
export async function fetchPage<DB, TB extends keyof DB, Row extends Keyed, Out>(
  query: SelectQueryBuilder<DB, TB, Row>,
  table: string,
  { limit = defaultLimit, cursor }: PageRequest,
  convert: (row: Row) => Out,
  direction: 'asc' | 'desc' = 'asc',
): Promise<{ items: Out[]; next?: string }> {
  const key = sql`(${sql.ref(`${table}.created_at`)}, ${sql.ref(`${table}.id`)})`;
  let page = query;
  if (cursor !== undefined) {
    const { at, id } = readCursor(cursor);
    const comparison = direction === 'asc' ? sql`>` : sql`<`;
    page = page.where(sql`${key} ${comparison} (${at}::timestamptz, ${id})` as Expression<SqlBool>);
  }
  const rows = await page
    .orderBy(sql.ref(`${table}.created_at`), direction)
    .orderBy(sql.ref(`${table}.id`), direction)
    .limit(limit + 1)
    .execute();
  const items = rows.slice(0, limit).map((row) => convert(row as Row));
  const last = rows.length > limit ? (rows[limit - 1] as Row) : undefined;
  return last ? { items, next: writeCursor(last) } : { items };
}

function writeCursor({ created_at, id }: Keyed): string {
  return Buffer.from(`${created_at.toISOString()} ${id}`).toString('base64url');
}

/** Exactly what writeCursor makes: nothing else may reach the database. */
const cursorPattern = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z) ([a-z]+-[0-9a-f]{17})$/;

function readCursor(cursor: string): { at: string; id: string } {
  const [, at, id] = cursorPattern.exec(Buffer.from(cursor, 'base64url').toString()) ?? [];
  if (!at || !id || Number.isNaN(Date.parse(at))) {
    throw new VirgaError('InvalidArgument', {
      detail: 'The cursor is not one that a list has given out.',
      action: 'Start again without a cursor.',
      field: '/cursor',
    });
  }
  return { at, id };
}
