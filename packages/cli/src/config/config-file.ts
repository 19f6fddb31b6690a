// The configuration of the command line: named profiles with their API keys, and where private SSH keys are.
// One JSON file, readable by its owner only, replaced as a whole; a file that cannot be read is never overwritten.
import { randomBytes } from 'node:crypto';
import { chmod, mkdir, open, readFile, rename, rm } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { VirgaError } from '@virga/contract/errors';

export type Profile = {
  server: string;
  accessKeyId?: string;
  secret?: string;
  /** Project name or id; without one, the project of the API key. */
  project?: string;
  /** The API key was made by `virga login` with a password, so `virga logout` revokes it. */
  madeByLogin?: boolean;
};

export type Config = {
  version: 1;
  /** Name of the profile that is used when none is named. */
  currentProfile: string;
  profiles: Record<string, Profile>;
  /** Paths of private SSH keys, by the fingerprint of the key. */
  identities: Record<string, string>;
};

const emptyConfig: Config = { version: 1, currentProfile: 'default', profiles: {}, identities: {} };

/** Folder of everything the command line keeps: `$XDG_CONFIG_HOME/virga`, by default `~/.config/virga`. */
export function configFolder(env: NodeJS.ProcessEnv): string {
  return join(env.XDG_CONFIG_HOME || join(env.HOME || homedir(), '.config'), 'virga');
}

export function configPath(env: NodeJS.ProcessEnv): string {
  return join(configFolder(env), 'config.json');
}

/** Reads the configuration; one that does not exist is empty. @throws InvalidArgument it cannot be read */
export async function readConfig(env: NodeJS.ProcessEnv): Promise<Config> {
  const path = configPath(env);
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return structuredClone(emptyConfig);
    throw unusable(path, 'cannot be read', cause);
  }
  return parseConfig(path, text);
}

/**
 * Reads the configuration, lets `change` alter it and writes it back: to a temporary name with mode 0600, flushed, renamed.
 */
export async function changeConfig(env: NodeJS.ProcessEnv, change: (config: Config) => void): Promise<void> {
  const config = await readConfig(env);
  change(config);
  const path = configPath(env);
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  const temporary = `${path}.${randomBytes(4).toString('hex')}.tmp`;
  try {
    const file = await open(temporary, 'wx', 0o600);
    try {
      await file.writeFile(`${JSON.stringify(config, undefined, 2)}\n`);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
  } catch (cause) {
    await rm(temporary, { force: true });
    throw unusable(path, 'cannot be written', cause);
  }
  await chmod(dirname(path), 0o700);
}

function parseConfig(path: string, text: string): Config {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw unusable(path, 'is not JSON', cause);
  }
  if (!isRecord(value) || value.version !== 1) throw unusable(path, 'is not of a version that this virga knows');
  const { currentProfile, profiles, identities } = { ...emptyConfig, ...value };
  const sound =
    typeof currentProfile === 'string' &&
    isRecord(profiles) &&
    Object.values(profiles).every((profile) => isRecord(profile) && typeof profile.server === 'string') &&
    isRecord(identities) &&
    Object.values(identities).every((identity) => typeof identity === 'string');
  if (!sound) throw unusable(path, 'does not have the shape that virga writes');
  return structuredClone({ version: 1, currentProfile, profiles, identities });
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function unusable(path: string, what: string, cause?: unknown): VirgaError {
  return new VirgaError('InvalidArgument', {
    detail: `The configuration file ${path} ${what}.`,
    action: 'Mend it, or move it away and run virga login.',
    cause,
  });
}
