// The secrets of a cloud, made once: the key that seals what the database must not show, and how its first administrator
// signs in. Each is a file that only root can read, on the disk before anything depends on it.
import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { VirgaError } from '@virga/contract/errors';
import { flushName, writeFileDurably } from '@virga/host-agent/durable-file';
import type { Folders } from './folders.ts';

export type AdministratorCredentials = {
  user: string;
  password: string;
  accessKeyId: string;
  secret: string;
  project: string;
};

const sealKeyBytes = 32;
const base32 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';

export const sealKeyPath = (folders: Folders) => join(folders.state, 'seal.key');
export const administratorPath = (folders: Folders) => join(folders.state, 'administrator.json');

/**
 * The key of this cloud. Made when there is no database yet.
 * @throws OperationFailed the file is damaged, or gone while the database that needs it is there
 */
export async function ensureSealKey(folders: Folders): Promise<Buffer> {
  const path = sealKeyPath(folders);
  if (!existsSync(path)) {
    if (existsSync(folders.database))
      throw unusable(path, 'is gone, and the secrets in the database cannot be read without it');
    await write(path, `${randomBytes(sealKeyBytes).toString('hex')}\n`);
  }
  const text = readFileSync(path, 'utf8').trim();
  if (!/^[0-9a-f]{64}$/.test(text)) throw unusable(path, 'is damaged');
  return Buffer.from(text, 'hex');
}

/** How the first administrator signs in. Made when the file is not there. @throws OperationFailed the file is damaged */
export async function ensureAdministratorCredentials(folders: Folders): Promise<AdministratorCredentials> {
  const path = administratorPath(folders);
  if (!existsSync(path)) {
    const credentials: AdministratorCredentials = {
      user: 'admin',
      password: randomBytes(18).toString('base64url'),
      accessKeyId: `VK${Array.from(randomBytes(18), (byte) => base32[byte & 31]).join('')}`,
      secret: randomBytes(30).toString('base64url'),
      project: 'default',
    };
    await write(path, `${JSON.stringify(credentials, undefined, 2)}\n`);
  }
  return readAdministratorCredentials(folders);
}

/** @throws OperationFailed the file is not there, or damaged */
export function readAdministratorCredentials(folders: Folders): AdministratorCredentials {
  const path = administratorPath(folders);
  let value: Partial<AdministratorCredentials>;
  try {
    value = JSON.parse(readFileSync(path, 'utf8'));
  } catch (cause) {
    throw unusable(path, 'cannot be read', cause);
  }
  const { user, password, accessKeyId, secret, project } = value;
  if (!user || !password || !accessKeyId || !secret || !project) throw unusable(path, 'is damaged');
  return { user, password, accessKeyId, secret, project };
}

async function write(path: string, text: string): Promise<void> {
  await writeFileDurably(path, text, 0o600);
  await flushName(path);
}

function unusable(path: string, what: string, cause?: unknown): VirgaError {
  return new VirgaError('OperationFailed', {
    detail: `The file ${path} ${what}.`,
    action: 'Put it back from a backup of the state folder.',
    cause,
  });
}
