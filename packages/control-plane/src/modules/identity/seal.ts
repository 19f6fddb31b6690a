// Seals what must be recovered later (secrets for SigV4) under a key that lives outside the database.
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';

export type Seal = { seal(plain: string, context: string): Buffer; open(sealed: Buffer, context: string): string };

const nonceBytes = 12;
const tagBytes = 16;

/** @param key 32 bytes. `context` binds a sealed text to its row: it opens nowhere else. */
export function createSeal(key: Buffer): Seal {
  return {
    seal(plain, context) {
      const nonce = randomBytes(nonceBytes);
      const cipher = createCipheriv('aes-256-gcm', key, nonce).setAAD(Buffer.from(context));
      const body = Buffer.concat([cipher.update(plain, 'utf8'), cipher.final()]);
      return Buffer.concat([nonce, cipher.getAuthTag(), body]);
    },
    open(sealed, context) {
      const nonce = sealed.subarray(0, nonceBytes);
      const tag = sealed.subarray(nonceBytes, nonceBytes + tagBytes);
      const decipher = createDecipheriv('aes-256-gcm', key, nonce).setAAD(Buffer.from(context)).setAuthTag(tag);
      return decipher.update(sealed.subarray(nonceBytes + tagBytes), undefined, 'utf8') + decipher.final('utf8');
    },
  };
}
