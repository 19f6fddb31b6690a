// What can be done inside of a guest, through the guest's own agent. Bytes go as base64.
import { type Static, Type } from 'typebox';
import { maxGuestPieceBytes } from '../agent/guest.ts';
import { IdSchema } from '../ids.ts';
import { route } from '../route.ts';
import { idParams, Nothing, Nullable, Time } from './shared.ts';

/** A piece as base64, and the rest of a request around it. */
const pieceBodyBytes = 2 * maxGuestPieceBytes;
const maxBase64Length = Math.ceil(maxGuestPieceBytes / 3) * 4;

const Base64 = (description: string) =>
  Type.String({
    pattern: '^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$',
    maxLength: maxBase64Length,
    description,
  });
const piece = `base64, at most ${maxGuestPieceBytes / 1024 ** 2} MiB when decoded`;

const GuestPath = Type.String({
  minLength: 1,
  maxLength: 4096,
  pattern: '^(/|[A-Za-z]:[\\\\/])[^\\0]*$',
  description: 'absolute path of a file in the guest',
});
const User = Type.String({
  pattern: '^[A-Za-z_][A-Za-z0-9_.@-]{0,63}\\$?$',
  description: 'name of a user of the guest',
});
const Offset = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER });

export const Guest = Type.Object(
  {
    agentVersion: Nullable(Type.String()),
    hostName: Nullable(Type.String()),
    osId: Nullable(Type.String({ description: 'such as debian' })),
    osName: Nullable(Type.String()),
    kernel: Nullable(Type.String()),
    timeZone: Nullable(Type.String()),
    users: Type.Array(Type.Object({ name: Type.String(), since: Nullable(Time) }), {
      description: 'who is logged in',
    }),
    interfaces: Type.Array(
      Type.Object({
        name: Type.String(),
        mac: Nullable(Type.String()),
        addresses: Type.Array(Type.String({ description: 'with prefix length' })),
      }),
    ),
    fileSystems: Type.Array(
      Type.Object({
        mountPoint: Type.String(),
        device: Type.String(),
        type: Type.String(),
        totalBytes: Nullable(Type.Integer()),
        usedBytes: Nullable(Type.Integer()),
      }),
    ),
    frozen: Type.Boolean({ description: 'its file systems take no writes' }),
    frozenUntil: Nullable(Time),
  },
  { $id: 'Guest' },
);
export type Guest = Static<typeof Guest>;

export const GuestCommand = Type.Object(
  {
    command: Type.Array(Type.String({ maxLength: 131_072 }), {
      minItems: 1,
      maxItems: 1024,
      description: 'the program and its arguments; no shell takes them apart',
    }),
    env: Type.Optional(
      Type.Record(Type.String({ pattern: '^[A-Za-z_][A-Za-z0-9_]*$' }), Type.String({ maxLength: 131_072 }), {
        description: 'variables, added to those of the guest agent',
      }),
    ),
    input: Type.Optional(Base64(`standard input: ${piece}`)),
    waitSeconds: Type.Optional(
      Type.Integer({ minimum: 0, maximum: 60, default: 30, description: 'how long its end is waited for' }),
    ),
  },
  { $id: 'GuestCommand', additionalProperties: false },
);
export type GuestCommand = Static<typeof GuestCommand>;

export const GuestCommandResult = Type.Object(
  {
    pid: Type.Integer({ description: 'number of the process in the guest' }),
    exitCode: Nullable(
      Type.Integer({
        description: '128 and the number of the signal when one ended it; 127: no such program; null: it runs',
      }),
    ),
    stdout: Type.String({ description: 'base64' }),
    stderr: Type.String({ description: 'base64' }),
    truncated: Type.Boolean({ description: 'there was more output than 1 MiB of one kind' }),
  },
  { $id: 'GuestCommandResult' },
);
export type GuestCommandResult = Static<typeof GuestCommandResult>;

export const GuestFileStatus = Type.Object(
  {
    kind: Type.Union([Type.Literal('file'), Type.Literal('directory'), Type.Literal('other'), Type.Literal('absent')]),
    sizeBytes: Nullable(Type.Integer()),
    mode: Nullable(Type.Integer({ description: 'permission bits; 420 is 0644' })),
  },
  { $id: 'GuestFileStatus' },
);
export type GuestFileStatus = Static<typeof GuestFileStatus>;

const operator = { scope: 'project', role: 'operator' } as const;
const params = idParams('instance');

export const instanceGuestRoutes = {
  getGuest: route({
    method: 'GET',
    path: '/v1/instances/{id}/guest',
    summary: 'What the guest says of itself: system, addresses, file systems',
    access: { scope: 'project', role: 'viewer' },
    params,
    ok: Guest,
  }),
  executeInGuest: route({
    method: 'POST',
    path: '/v1/instances/{id}/guest/commands',
    summary: 'Run a program in the guest; one that does not end in time goes on',
    access: operator,
    params,
    body: GuestCommand,
    bodyLimitBytes: pieceBodyBytes,
    ok: GuestCommandResult,
  }),
  awaitGuestCommand: route({
    method: 'GET',
    path: '/v1/instances/{id}/guest/commands/{pid}',
    summary: 'Wait on for the end of a program; its end is told once',
    access: operator,
    params: Type.Object({ id: IdSchema('instance'), pid: Type.Integer({ minimum: 1 }) }),
    query: Type.Object({ waitSeconds: Type.Optional(Type.Integer({ minimum: 0, maximum: 60, default: 0 })) }),
    ok: GuestCommandResult,
  }),
  getGuestFileStatus: route({
    method: 'GET',
    path: '/v1/instances/{id}/guest/file-status',
    summary: 'Kind, size and mode of a file of the guest',
    access: operator,
    params,
    query: Type.Object({ path: GuestPath }),
    ok: GuestFileStatus,
  }),
  readGuestFile: route({
    method: 'GET',
    path: '/v1/instances/{id}/guest/files',
    summary: 'Read a piece of a file of the guest',
    access: operator,
    params,
    query: Type.Object({
      path: GuestPath,
      offset: Type.Optional(Offset),
      length: Type.Optional(Type.Integer({ minimum: 1, maximum: maxGuestPieceBytes, default: maxGuestPieceBytes })),
    }),
    ok: Type.Object({ data: Type.String({ description: 'base64' }), endOfFile: Type.Boolean() }),
  }),
  writeGuestFile: route({
    method: 'PUT',
    path: '/v1/instances/{id}/guest/files',
    summary: 'Write a piece of a file of the guest; a piece at offset 0 makes the file anew',
    access: operator,
    params,
    body: Type.Object(
      {
        path: GuestPath,
        offset: Type.Optional(Offset),
        data: Base64(piece),
        mode: Type.Optional(Type.Integer({ minimum: 0, maximum: 0o7777, description: 'permission bits; 420 is 0644' })),
      },
      { additionalProperties: false },
    ),
    bodyLimitBytes: pieceBodyBytes,
    ok: Nothing,
  }),
  freezeGuest: route({
    method: 'POST',
    path: '/v1/instances/{id}/guest/freeze',
    summary: 'Hold back all writes to the file systems of the guest, until they are thawed or the time is over',
    access: operator,
    params,
    body: Type.Object(
      {
        timeoutSeconds: Type.Optional(
          Type.Integer({
            minimum: 1,
            maximum: 600,
            default: 60,
            description: 'after this they are thawed in any case',
          }),
        ),
      },
      { additionalProperties: false },
    ),
    ok: Type.Object({ fileSystems: Type.Integer(), frozenUntil: Time }),
  }),
  thawGuest: route({
    method: 'POST',
    path: '/v1/instances/{id}/guest/thaw',
    summary: 'Let the file systems of the guest take writes again',
    access: operator,
    params,
    ok: Type.Object({ fileSystems: Type.Integer() }),
  }),
  setGuestPassword: route({
    method: 'POST',
    path: '/v1/instances/{id}/guest/password',
    summary: 'Set the password of a user of the guest',
    access: operator,
    params,
    body: Type.Object(
      { user: User, password: Type.String({ minLength: 1, maxLength: 256, pattern: '^[^\\x00-\\x1f]*$' }) },
      { additionalProperties: false },
    ),
    ok: Nothing,
  }),
  setGuestKeys: route({
    method: 'POST',
    path: '/v1/instances/{id}/guest/keys',
    summary: 'Let SSH keys log in as a user of the guest',
    access: operator,
    params,
    body: Type.Object(
      {
        user: User,
        keys: Type.Array(Type.String({ minLength: 1, maxLength: 16_384, pattern: '^[^\\n\\r]+$' }), {
          maxItems: 64,
          description: 'public keys, as in authorized_keys',
        }),
        replace: Type.Optional(Type.Boolean({ description: 'take all other keys of the user away' })),
      },
      { additionalProperties: false },
    ),
    ok: Nothing,
  }),
};
