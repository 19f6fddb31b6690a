// Key pairs: the public half only. Virga never sees a private key.
import { type Static, Type } from 'typebox';
import { IdSchema } from '../ids.ts';
import { route } from '../route.ts';
import { idParams, ListQuery, Name, Nothing, Page, Time } from './shared.ts';

export const KeyPair = Type.Object(
  {
    id: IdSchema('keyPair'),
    projectId: IdSchema('project'),
    name: Name,
    publicKey: Type.String({ description: 'one line of OpenSSH authorized_keys, without options' }),
    fingerprint: Type.String({ description: 'SHA256:… as ssh-keygen -l prints it' }),
    createdAt: Time,
  },
  { $id: 'KeyPair' },
);
export type KeyPair = Static<typeof KeyPair>;

export const keyPairRoutes = {
  listKeyPairs: route({
    method: 'GET',
    path: '/v1/key-pairs',
    summary: 'List key pairs',
    access: { scope: 'project', role: 'viewer' },
    query: ListQuery,
    ok: Page(KeyPair),
  }),
  getKeyPair: route({
    method: 'GET',
    path: '/v1/key-pairs/{id}',
    summary: 'Show a key pair',
    access: { scope: 'project', role: 'viewer' },
    params: idParams('keyPair'),
    ok: KeyPair,
  }),
  importKeyPair: route({
    method: 'POST',
    path: '/v1/key-pairs',
    summary: 'Import a public key',
    access: { scope: 'project', role: 'operator' },
    body: Type.Object(
      { name: Name, publicKey: Type.String({ minLength: 1, maxLength: 16_384 }) },
      { additionalProperties: false },
    ),
    ok: KeyPair,
    status: 201,
  }),
  deleteKeyPair: route({
    method: 'DELETE',
    path: '/v1/key-pairs/{id}',
    summary: 'Delete a key pair; running instances keep the key',
    access: { scope: 'project', role: 'operator' },
    params: idParams('keyPair'),
    ok: Nothing,
  }),
};
