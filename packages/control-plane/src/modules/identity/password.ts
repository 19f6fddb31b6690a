// Password hashes: argon2id, with the parameters stored beside the hash so that they can grow.
import { argon2, randomBytes, timingSafeEqual } from 'node:crypto';
import { promisify } from 'node:util';

const derive = promisify(argon2);
/** OWASP's minimum for argon2id: 19 MiB, two passes. */
const parameters = { memory: 19_456, passes: 2, parallelism: 1, tagLength: 32 };

/** @returns `argon2id$memory$passes$parallelism$salt$hash`, the last two in base64url */
export async function hashPassword(password: string): Promise<string> {
  const salt = randomBytes(16);
  const { memory, passes, parallelism } = parameters;
  const hash = await derive('argon2id', { ...parameters, message: Buffer.from(password), nonce: salt });
  return ['argon2id', memory, passes, parallelism, salt.toString('base64url'), hash.toString('base64url')].join('$');
}

/** Takes the same time for a user that does not exist (`stored` null) as for a wrong password. */
export async function passwordMatches(password: string, stored: string | null): Promise<boolean> {
  const [, memory, passes, parallelism, salt, hash] = (stored ?? (await decoy)).split('$');
  const expected = Buffer.from(hash ?? '', 'base64url');
  const actual = await derive('argon2id', {
    message: Buffer.from(password),
    nonce: Buffer.from(salt ?? '', 'base64url'),
    memory: Number(memory),
    passes: Number(passes),
    parallelism: Number(parallelism),
    tagLength: expected.length,
  });
  return timingSafeEqual(actual, expected) && stored !== null;
}

const decoy = hashPassword(randomBytes(16).toString('hex'));
