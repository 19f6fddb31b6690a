// What an instance is called, what it is for, and what becomes of it when nobody looks: tags, protection, restarts, expiry.
import { type Static, Type } from 'typebox';
import { Name, Nullable, Time } from './shared.ts';

/** As on EC2. */
export const maxTags = 50;
export const maxTagKeyLength = 128;
export const maxTagValueLength = 256;

export const Description = Type.String({ maxLength: 1000, description: 'what it is for, at most 1000 characters' });

const TagValue = Type.String({ maxLength: maxTagValueLength });
export const Tags = Type.Record(Type.String(), TagValue, {
  maxProperties: maxTags,
  description: 'at most 50 keys of at most 128 characters, without "=", with values of at most 256',
});
export type Tags = Static<typeof Tags>;

export const Autostart = Type.Union([
  Type.Literal('restore', { description: 'as it was before the host went down' }),
  Type.Literal('always', { description: 'started, also when it was stopped' }),
  Type.Literal('never', { description: 'left off until somebody starts it' }),
]);
export type Autostart = Static<typeof Autostart>;

export const CrashPolicy = Type.Union([
  Type.Literal('restart', { description: 'started again, ever more slowly when it keeps crashing' }),
  Type.Literal('stop', { description: 'left off, to be looked into' }),
]);
export type CrashPolicy = Static<typeof CrashPolicy>;

export const ExpiryAction = Type.Union([Type.Literal('stop'), Type.Literal('delete')]);
export type ExpiryAction = Static<typeof ExpiryAction>;

/** Fields of an instance. */
export const instanceAttributes = {
  description: Description,
  tags: Tags,
  deleteProtection: Type.Boolean({ description: 'it is not deleted until this is taken away' }),
  autostart: Autostart,
  crashPolicy: CrashPolicy,
  expiresAt: Nullable(Time),
  expiryAction: Nullable(ExpiryAction),
  noMerge: Type.Boolean({ description: 'the kernel of its host is never to merge its memory, as of its next start' }),
};

const chosen = {
  description: Type.Optional(Description),
  deleteProtection: Type.Optional(Type.Boolean()),
  autostart: Type.Optional(Autostart),
  crashPolicy: Type.Optional(CrashPolicy),
  expiryAction: Type.Optional(ExpiryAction),
  noMerge: Type.Optional(Type.Boolean()),
};

/** Fields of a launch. */
export const launchAttributes = {
  ...chosen,
  tags: Type.Optional(Tags),
  expiresAt: Type.Optional(Time),
};

export const UpdateInstance = Type.Object(
  {
    ...chosen,
    name: Type.Optional(Name),
    tags: Type.Optional(
      Type.Record(Type.String(), Nullable(TagValue), {
        maxProperties: 2 * maxTags,
        description: 'tags to set; one that is null is taken away, and all others stay',
      }),
    ),
    expiresAt: Type.Optional(Nullable(Time)),
  },
  { $id: 'UpdateInstance', additionalProperties: false },
);
export type UpdateInstance = Static<typeof UpdateInstance>;
