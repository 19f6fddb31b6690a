// Reads one line of OpenSSH public key. Refuses what sshd would not accept, and what only looks like a public key.
import { createHash } from 'node:crypto';
import { VirgaError } from '@virga/contract/errors';

const curves: Record<string, string> = {
  'ecdsa-sha2-nistp256': 'nistp256',
  'ecdsa-sha2-nistp384': 'nistp384',
  'ecdsa-sha2-nistp521': 'nistp521',
};
const accepted = new Set([
  'ssh-ed25519',
  'ssh-rsa',
  'sk-ssh-ed25519@openssh.com',
  'sk-ecdsa-sha2-nistp256@openssh.com',
  ...Object.keys(curves),
]);
const minimumRsaBits = 2048;
const ed25519Bytes = 32;

export type PublicKey = { line: string; fingerprint: string };

/**
 * @returns the key as `type base64 comment`, and its fingerprint as `ssh-keygen -l` prints it
 * @throws InvalidKeyPair with the field /publicKey
 * @see RFC 4253 section 6.6, RFC 5656, RFC 8709
 */
export function parsePublicKey(text: string): PublicKey {
  const line = text.trim();
  if (line.includes('PRIVATE KEY'))
    throw invalid('This is a private key.', 'Keep it secret and give the file that ends in .pub.');
  if (/[\r\n]/.test(line)) throw invalid('The public key has more than one line.', 'Give one key.');
  const [type = '', base64 = '', ...comment] = line.split(/[ \t]+/);
  if (!/^(ssh-|ecdsa-|sk-)/.test(type)) {
    throw invalid(
      'The text does not begin with a key type such as ssh-ed25519.',
      'Give the content of a .pub file, without options.',
    );
  }
  if (!accepted.has(type)) {
    throw invalid(`Keys of type ${type} are not accepted.`, 'Use an ed25519 key: ssh-keygen -t ed25519.');
  }
  const blob = Buffer.from(base64, 'base64');
  if (base64 === '' || blob.toString('base64') !== base64) throw broken('its base64 part is damaged');
  const fields = readFields(blob);
  if (fields[0]?.toString('latin1') !== type) throw broken(`it says ${type} but holds another type`);
  if (!fitsType(type, fields.slice(1))) throw broken('its content does not fit its type');
  if (type === 'ssh-rsa' && bitLength(fields[2]!) < minimumRsaBits) {
    throw invalid(
      `The RSA key has ${bitLength(fields[2]!)} bits.`,
      `Use at least ${minimumRsaBits}, or an ed25519 key.`,
    );
  }
  return {
    line: [type, base64, ...comment].join(' '),
    fingerprint: `SHA256:${createHash('sha256').update(blob).digest('base64').replace(/=+$/, '')}`,
  };
}

/** Whether the fields after the type are those of a key of that type. */
function fitsType(type: string, fields: Buffer[]): boolean {
  const [first = Buffer.alloc(0), second = Buffer.alloc(0)] = fields;
  switch (type) {
    case 'ssh-ed25519':
      return fields.length === 1 && first.length === ed25519Bytes;
    case 'sk-ssh-ed25519@openssh.com':
      return fields.length === 2 && first.length === ed25519Bytes;
    case 'sk-ecdsa-sha2-nistp256@openssh.com':
      return fields.length === 3 && first.toString('latin1') === 'nistp256' && isPoint(second);
    case 'ssh-rsa':
      return fields.length === 2;
    default:
      return fields.length === 2 && first.toString('latin1') === curves[type] && isPoint(second);
  }
}

/** Uncompressed point of a curve. */
function isPoint(bytes: Buffer): boolean {
  return bytes[0] === 4 && bytes.length % 2 === 1 && bytes.length >= 65;
}

function bitLength(integer: Buffer): number {
  const start = integer.findIndex((byte) => byte !== 0);
  return start < 0 ? 0 : (integer.length - start) * 8 - Math.clz32(integer[start]!) + 24;
}

function readFields(blob: Buffer): Buffer[] {
  const fields: Buffer[] = [];
  for (let at = 0; at < blob.length; ) {
    if (at + 4 > blob.length) throw broken('it is cut short');
    const end = at + 4 + blob.readUInt32BE(at);
    if (end > blob.length) throw broken('it is cut short');
    fields.push(blob.subarray(at + 4, end));
    at = end;
  }
  return fields;
}

function broken(why: string): VirgaError {
  return invalid(
    `The public key cannot be read: ${why}.`,
    'Give the whole line of a .pub file as ssh-keygen wrote it.',
  );
}

function invalid(detail: string, action: string): VirgaError {
  return new VirgaError('InvalidKeyPair', { detail, action, field: '/publicKey' });
}
