// Certificates for TLS between a client and a libvirtd, made anew for each test run by the openssl program.
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

export interface Certificate {
  cert: string;
  key: string;
}

export interface Authority {
  cert: string;
  /** A certificate for `127.0.0.1` and `localhost`, good for both sides. */
  issue(commonName: string): Promise<Certificate>;
}

/** Makes an authority of its own; its files are gone when this returns, its secrets when the process ends. */
export async function createAuthority(commonName: string): Promise<Authority> {
  const authority = await inFolder(async (folder) => {
    await makeKey(folder, 'ca');
    const usage = ['-addext', 'keyUsage=critical,keyCertSign'];
    await openssl(folder, [
      'req',
      '-x509',
      '-key',
      'ca.key',
      '-days',
      '2',
      '-subj',
      `/CN=${commonName}`,
      '-out',
      'ca.pem',
      ...usage,
    ]);
    return readPair(folder, 'ca');
  });
  return {
    cert: authority.cert,
    issue: (name) =>
      inFolder(async (folder) => {
        await writeFile(join(folder, 'ca.pem'), authority.cert);
        await writeFile(join(folder, 'ca.key'), authority.key, { mode: 0o600 });
        const usage = 'keyUsage=critical,digitalSignature,keyEncipherment\nextendedKeyUsage=serverAuth,clientAuth\n';
        await writeFile(join(folder, 'extensions'), `subjectAltName=DNS:localhost,IP:127.0.0.1\n${usage}`);
        await makeKey(folder, 'own');
        await openssl(folder, ['req', '-new', '-key', 'own.key', '-subj', `/CN=${name}`, '-out', 'own.csr']);
        const signer = ['-CA', 'ca.pem', '-CAkey', 'ca.key', '-days', '2', '-extfile', 'extensions'];
        await openssl(folder, ['x509', '-req', '-in', 'own.csr', ...signer, '-out', 'own.pem']);
        return readPair(folder, 'own');
      }),
  };
}

async function inFolder<T>(work: (folder: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), 'virga-certificates-'));
  try {
    return await work(folder);
  } finally {
    await rm(folder, { recursive: true });
  }
}

const openssl = (folder: string, args: string[]) => promisify(execFile)('openssl', args, { cwd: folder });

const makeKey = (folder: string, name: string) =>
  openssl(folder, ['genpkey', '-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256', '-out', `${name}.key`]);

async function readPair(folder: string, name: string): Promise<Certificate> {
  const read = (ending: string) => readFile(join(folder, `${name}.${ending}`), 'utf8');
  return { cert: await read('pem'), key: await read('key') };
}
