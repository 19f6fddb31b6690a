// Shapes that several resources have in common: names, times, pages and the parameters of a path.
import { type Static, type TSchema, Type } from 'typebox';
import { type IdKind, IdSchema } from '../ids.ts';

/** A name people give: also a valid host name label, so that it can be one. */
export const Name = Type.String({
  pattern: '^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$',
  description: 'lower-case letters, digits and hyphens, at most 63; starts and ends with a letter or digit',
});

/** UTC, ISO 8601 with milliseconds. */
export const Time = Type.String({ format: 'date-time' });

export const Nullable = <T extends TSchema>(schema: T) => Type.Union([schema, Type.Null()]);

/** One page of a list. `next` is the cursor of the following page, absent on the last one. */
export const Page = <T extends TSchema>(item: T) =>
  Type.Object({ items: Type.Array(item), next: Type.Optional(Type.String()) });

export const pageQuery = {
  limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 1000, default: 100 })),
  cursor: Type.Optional(Type.String({ maxLength: 512 })),
};

export const ListQuery = Type.Object({ ...pageQuery, name: Type.Optional(Type.String({ maxLength: 63 })) });
export type ListQuery = Static<typeof ListQuery>;

export const idParams = <K extends IdKind>(kind: K) => Type.Object({ id: IdSchema(kind) });

export const Nothing = Type.Object({});
