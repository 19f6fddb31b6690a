// Lists of checksums in the forms that makers of images publish them in, of the disk of signed-list.ts. Their keys were made for
// that and thrown away: one that is in order, one that has expired since, one that its owner has revoked.
import { createHash } from 'node:crypto';
import { signedDisk } from './signed-list.ts';

const sum = (algorithm: 'sha256' | 'sha512', content = signedDisk) =>
  createHash(algorithm).update(content).digest('hex');
const other = (algorithm: 'sha256' | 'sha512') => '0'.repeat(algorithm === 'sha256' ? 64 : 128);

export const maker = {
  fingerprint: '1BF217FDF76CE0214D264DD3314AC118E4E6B703',
  keyring: [
    'mDMEZZIAgBYJKwYBBAHaRw8BAQdAg/GiCWvTGJT8A+Lom7NOog/Gk4y7eG4Yucv/RgLvagO0JEltYWdlcyBmb3IgdGVzdHMgPG1h',
    'a2VyQGV4YW1wbGUub3JnPoiQBBMWCAA4FiEEG/IX/fds4CFNJk3TMUrBGOTmtwMFAmWSAIACGwMFCwkIBwIGFQoJCAsCBBYCAwEC',
    'HgECF4AACgkQMUrBGOTmtwNi7gEAmPLqVGEfrQF8RdRjLNDxi4QjuIibwLpmo3JbcBKeJqIBANVRscLwSCVKt0kxjBub9IBKRGyK',
    'Ge6fTcKX+nueOFcO',
  ].join(''),
};
export const expired = {
  fingerprint: '099468EC6DB6FF9EF9B01343C72DB4A0DED6696F',
  keyring: [
    'mDMEZZIAgBYJKwYBBAHaRw8BAQdAWVf4MICo0TaKH3XGxfMG6QlllFmQ1JHi9amia3cloJy0JkltYWdlcyBmb3IgdGVzdHMgPGV4',
    'cGlyZWRAZXhhbXBsZS5vcmc+iJYEExYIAD4WIQQJlGjsbbb/nvmwE0PHLbSg3tZpbwUCZZIAgAIbAwUJAMkMwAULCQgHAgYVCgkI',
    'CwIEFgIDAQIeAQIXgAAKCRDHLbSg3tZpbzhIAQDt0pbMFNk2fUNDrj/WHN59Gd/fFJfEIXT2iFYAaceOtwD/U6YGix1UVWFa8v7R',
    'dIw+z/KQpbx+xbA31ZNYJbxKIQ4=',
  ].join(''),
};
export const revoked = {
  fingerprint: '604EEC3FD16784B68164F90272110451846132C4',
  keyring: [
    'mDMEZZIAgBYJKwYBBAHaRw8BAQdAO7UvhAu2lRCyLNa1QMTOdNo8reVUi+SrsGf3rPKB7aSIeAQgFggAIBYhBGBO7D/RZ4S2gWT5',
    'AnIRBFGEYTLEBQJlkgCAAh0AAAoJEHIRBFGEYTLEBNYBAMAX1RogfaI3UTnX77sU9jk+yQ/K7en8Sev3rSWxmdsAAP95WEJmQ+Vn',
    '6lQLjwIRIz7k8elbDoc57XPBI9iab94DA7QmSW1hZ2VzIGZvciB0ZXN0cyA8cmV2b2tlZEBleGFtcGxlLm9yZz6IkAQTFggAOBYh',
    'BGBO7D/RZ4S2gWT5AnIRBFGEYTLEBQJlkgCAAhsDBQsJCAcCBhUKCQgLAgQWAgMBAh4BAheAAAoJEHIRBFGEYTLENXABAMBgh/mN',
    'vb6aF8pbXWX/uX2YEKXN8HIaNSiuqj/Eo1rTAQDYzTtRUSnvcP53I9XgTCVIkhIpzIqCtDQWJuKFc2WMCg==',
  ].join(''),
};

const detached = {
  /** Of `list` of signed-list.ts, by the maker and by somebody whose key is not here. */
  both: [
    'iIgEABYIADAWIQQb8hf992zgIU0mTdMxSsEY5Oa3AwUCZbrfABIcbWFrZXJAZXhhbXBsZS5vcmcACgkQMUrBGOTmtwOM9QD/X4SK',
    'CHgwDLsrux3QaWJ2FS9LeXqsAqBnZwrmv8UKGA4A/ROU5QWJhTiNqzLtvACVKbtvkzexCsmXBwqbyk1LhEYGiIoEABYIADIWIQS4',
    '3YgDOS0jZsY/7xE4AhzIAod1gQUCZbrfABQcYW5vdGhlckBleGFtcGxlLm9yZwAKCRA4AhzIAod1gR9/AP0fuCsQGVMxXH4ulN8K',
    'NDlTNCBSkw6WB0UKGOhvm7qdgQEA7/OMRknD9cPREfHwPZqToDqX2/cp7xM9Y+x4Vo5OSAI=',
  ].join(''),
  expired: [
    'iIoEABYIADIWIQQJlGjsbbb/nvmwE0PHLbSg3tZpbwUCZbrfABQcZXhwaXJlZEBleGFtcGxlLm9yZwAKCRDHLbSg3tZpb7nGAPoD',
    'Izt9atYqo1SoRvG/fRUMtKqP/G4dYpoZbviKYVyFkQD/SuCiHyr2u/qG0UwUqmIPxEIZFDGjYyndYd9gGIs2qA0=',
  ].join(''),
  revoked: [
    'iIoEABYIADIWIQRgTuw/0WeEtoFk+QJyEQRRhGEyxAUCZbrfABQccmV2b2tlZEBleGFtcGxlLm9yZwAKCRByEQRRhGEyxNRnAQC6',
    '6ntI4+3h2Xa5FbUQLo4scZFDHH7kuKUhARKc3rytFgEA+4m9OsO1Av/sbpukOnxY3+oRuBzqTrYvBcM97CeCdAM=',
  ].join(''),
  bsd: [
    'iIgEABYIADAWIQQb8hf992zgIU0mTdMxSsEY5Oa3AwUCZbrfABIcbWFrZXJAZXhhbXBsZS5vcmcACgkQMUrBGOTmtwPfeQD9HbyH',
    'U4DZJilp8SRSm95oDoRI55sHJTsaRpgquhekb6EBAPgrAqk9CjoisKAxP68qBjkvKHoFCqRGrVzA7gQaQrAJ',
  ].join(''),
};
const armored = (signature: string, crc: string) =>
  `-----BEGIN PGP SIGNATURE-----\n\n${signature.match(/.{1,64}/g)?.join('\n')}\n=${crc}\n-----END PGP SIGNATURE-----\n`;
const binary = (signature: string) => Buffer.from(signature, 'base64');

/** Of AlmaLinux' and Rocky's kind: with sizes, and the names of builds beside those of the newest. */
const bsd = `# other.raw: 4096 bytes
SHA256 (other.raw) = ${other('sha256')}
# disk.raw: 1048576 bytes
SHA256 (disk.raw) = ${sum('sha256')}
`;

/** By the file that has it at its maker's. */
export const publishedLists: Record<string, string | Buffer> = {
  'BOTH.gpg': binary(detached.both),
  'BOTH.asc': armored(detached.both, 'xs/r'),
  'EXPIRED.gpg': binary(detached.expired),
  'REVOKED.gpg': binary(detached.revoked),
  'ROCKY-CHECKSUM': bsd,
  'ROCKY-CHECKSUM.asc': armored(detached.bsd, 'T28z'),
  /** Fedora's: signed within itself, of the BSD kind. */
  'Fedora-Cloud-44-1.7-x86_64-CHECKSUM': `-----BEGIN PGP SIGNED MESSAGE-----
Hash: SHA256

# other.raw: 4096 bytes
SHA256 (other.raw) = 0000000000000000000000000000000000000000000000000000000000000000
# disk.raw: 1048576 bytes
SHA256 (disk.raw) = da8fbbda08ca0f4e153c2d2be24e0b058c99b43a1a3b459003c85f9640ee78a9
-----BEGIN PGP SIGNATURE-----

iIgEARYIADAWIQQb8hf992zgIU0mTdMxSsEY5Oa3AwUCZbrfABIcbWFrZXJAZXhh
bXBsZS5vcmcACgkQMUrBGOTmtwPDxwD8DnJ9aWIL8IvSXtG3k7BOpP7sdf6h+hJp
p1rzu4/mBxEA/RWKRa03Lk2xTwLYVZk98WNvVNg9a3KPC6OfiVl0h7gB
=ksqt
-----END PGP SIGNATURE-----
`,
  SHA512SUMS: `${other('sha512')}  other.raw\n${sum('sha512')}  disk.raw\n`,
  'disk.raw.SHA256': `${sum('sha256')}  disk.raw\n`,
  /** Alpine's has no name in it. */
  'disk.raw.sha512': sum('sha512'),
  'MOVED-ON': `${other('sha256')}  disk.raw\n`,
};

/** FreeBSD's are of the compressed file. */
export const freebsdList = (compressed: Buffer<ArrayBuffer>) =>
  `SHA512 (other.raw.xz) = ${other('sha512')}\nSHA512 (disk.raw.xz) = ${sum('sha512', compressed)}\n`;
