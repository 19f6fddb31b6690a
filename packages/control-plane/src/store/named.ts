// The row that somebody means by its id or its name. An id counts first, because another row may be called like it.
import { sql } from 'kysely';

/** For `where`, of a query whose only `id` and `name` are those of the table. */
export const hasIdOrName = (idOrName: string) => sql<boolean>`("id" = ${idOrName} or "name" = ${idOrName})`;

/** For `orderBy`, descending. */
export const hasId = (id: string) => sql<boolean>`"id" = ${id}`;
