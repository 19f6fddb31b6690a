// An SSH key of whoever runs `up`, known to the cloud, so that `virga ssh` works. Made by the commands that people use for
// it too.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { Readable, Writable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { configFolder } from '@virga/cli/config/config-file';
import { runCli } from '@virga/cli/main';
import { knownKeys } from '@virga/cli/ssh/identities';
import type { Client } from '@virga/contract/client';
import { fromProblem, type Problem } from '@virga/contract/errors';
import type { Cloud } from './cloud.ts';
import type { Phase } from './phase.ts';

/** @param profileName which login to import it with */
export function keyPhase(cloud: Cloud, env: NodeJS.ProcessEnv, profileName: string): Phase {
  return {
    title: 'SSH key',
    check: async () => {
      const client = cloud.client();
      if (client && (await knownKeys(client, env)).length > 0) return [];
      return [cloud.unlessThere('create an SSH key for logging in to instances')];
    },
    change: async () => {
      const name = await freeName(cloud.requireClient());
      const path = keyPath(env, name);
      // A key of a cloud that was here before is as good as a new one.
      const words = existsSync(`${path}.pub`) ? ['keys', 'import', name, `${path}.pub`] : ['keys', 'create', name];
      await runQuietly([...words, '--profile', profileName], env);
    },
  };
}

export const keyPath = (env: NodeJS.ProcessEnv, name: string) => join(configFolder(env), 'keys', name);

export const keyName = 'local';

/** `local`, or the next like it when that is somebody else's key. */
async function freeName(client: Client): Promise<string> {
  const taken = new Set((await client.listKeyPairs({ query: { limit: 1000 } })).items.map(({ name }) => name));
  for (let number = 1; ; number++) {
    const name = number === 1 ? keyName : `${keyName}-${number}`;
    if (!taken.has(name)) return name;
  }
}

/** Runs a command of the command line without showing it. @throws what it reports */
async function runQuietly(words: readonly string[], env: NodeJS.ProcessEnv): Promise<void> {
  const said: Buffer[] = [];
  const stderr = new Writable({
    write: (chunk: Buffer, _encoding, done) => {
      said.push(chunk);
      done();
    },
  });
  const stdout = new Writable({ write: (_chunk, _encoding, done) => done() });
  const io = { stdin: Readable.from([]), stdout, stderr, env };
  const code = await runCli([...words, '--output', 'json', '--quiet'], io);
  if (code !== 0) throw fromProblem(JSON.parse(await text(Readable.from(said))) as Problem);
}
