// Which private keys this user has for which key pairs, by fingerprint: the same key has the same fingerprint in every
// project and cloud. The private half never leaves this machine.
import { access } from 'node:fs/promises';
import type { Client } from '@virga/contract/client';
import type { KeyPair } from '@virga/contract/rest/key-pairs';
import { changeConfig, readConfig } from '../config/config-file.ts';
import { listAll } from '../list-all.ts';

export async function rememberIdentity(env: NodeJS.ProcessEnv, fingerprint: string, path: string): Promise<void> {
  await changeConfig(env, (config) => {
    config.identities[fingerprint] = path;
  });
}

export type KnownKey = { keyPair: KeyPair; path: string };

/** The key pairs of the project whose private key is on this machine. */
export async function knownKeys(client: Client, env: NodeJS.ProcessEnv): Promise<KnownKey[]> {
  const { identities } = await readConfig(env);
  if (Object.keys(identities).length === 0) return [];
  const keyPairs = await listAll((query) => client.listKeyPairs({ query }));
  const found: KnownKey[] = [];
  for (const keyPair of keyPairs) {
    const path = identities[keyPair.fingerprint];
    if (path !== undefined && (await exists(path))) found.push({ keyPair, path });
  }
  return found;
}

/** The private key for an instance with these key pairs, if this machine has one. */
export async function identityFor(
  client: Client,
  env: NodeJS.ProcessEnv,
  keyPairs: readonly string[],
): Promise<string | undefined> {
  if (keyPairs.length === 0) return undefined;
  return (await knownKeys(client, env)).find(({ keyPair }) => keyPairs.includes(keyPair.name))?.path;
}

export async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
