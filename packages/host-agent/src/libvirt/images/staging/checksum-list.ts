// Lists of checksums as the makers of images publish them, and who has signed them. Owns reading the list and asking gpgv;
// whether the image has the checksum is its caller's to see.
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { DownloadSource, ImageChecksum, ImageChecksumList } from '@virga/contract/agent/image-source';
import { VirgaError } from '@virga/contract/errors';
import { refuseImage } from '../../../image-formats/refusal.ts';
import { giveToNobody, makeSandboxFolder, runSandboxed } from '../../../sandbox/sandbox.ts';
import { requireContent } from './download-file.ts';
import { judgeSignatures } from './signature-status.ts';
import { askWeb, type Resolve, unavailable, type WebRequest } from './web-request.ts';

type Looking = {
  source: Pick<DownloadSource, 'url' | 'limits' | 'networks'>;
  /** Where gpgv may be locked away with the files. */
  folder: string;
  resolve?: Resolve | undefined;
  signal?: AbortSignal | undefined;
};
export type Listed = { checksum: ImageChecksum; signature: 'good' | 'no-key' | 'none'; signedBy?: string };

const largestListBytes = 4 * 1024 ** 2;
const largestSignatureBytes = 64 * 1024;
const mostFailures = 2;
const limits = { memoryBytes: 256 * 1024 ** 2, cpuSeconds: 20, fileBytes: largestListBytes, timeoutMs: 30_000 };
const doubt =
  'Do not use it before you know why; the list may be of another file, or somebody has changed one of them.';

/** The checksum that the image should have. @throws ImageSourceUnavailable | ImageUnusable */
export async function readChecksumList(list: ImageChecksumList, looking: Looking): Promise<Listed> {
  const text = await fetchSmall(list.url, largestListBytes, looking);
  const { signature } = list;
  if (!signature) return { checksum: checksumIn(text.toString('utf8'), list, looking.source.url), signature: 'none' };
  if (signature.keyring === undefined) {
    const plain = text.toString('utf8').replace(/^-----BEGIN PGP SIGNED MESSAGE-----[\s\S]*?\r?\n\r?\n/, '');
    return { checksum: checksumIn(plain, list, looking.source.url), signature: 'no-key' };
  }
  const signed = await signedText(text, signature, looking);
  const checksum = checksumIn(signed, list, looking.source.url);
  return { checksum, signature: 'good', signedBy: signature.fingerprint };
}

/** What is said in the list, of the image at that address. @throws ImageUnusable it is not in the list */
export function checksumIn(
  text: string,
  { url: listUrl, algorithm }: ImageChecksumList,
  imageUrl: string,
): ImageChecksum {
  const digits = algorithm === 'sha256' ? 64 : 128;
  const gnu = new RegExp(`^([0-9a-f]{${digits}})(?:[ \\t]+[*]?(.+))?$`, 'i');
  const bsd = new RegExp(`^${algorithm} ?\\((.+)\\) ?= ?([0-9a-f]{${digits}})$`, 'i');
  const entries = text.split('\n').flatMap((line) => {
    const [, value, name = ''] = gnu.exec(line.trim()) ?? [];
    const [, bsdName = '', bsdValue] = bsd.exec(line.trim()) ?? [];
    const found = value ?? bsdValue;
    return found === undefined
      ? []
      : [{ name: (value ? name : bsdName).replace(/^\.\//, ''), value: found.toLowerCase() }];
  });
  const fileName = decodeURIComponent(new URL(imageUrl).pathname.split('/').at(-1) ?? '');
  const named = entries.filter(({ name }) => name === fileName);
  // A list of the one image alone often names it as it was called when it was built.
  const isOfItAlone = entries.length === 1 && listUrl.startsWith(`${imageUrl}.`);
  const values = new Set((named.length > 0 ? named : isOfItAlone ? entries : []).map(({ value }) => value));
  const [value] = values;
  if (value === undefined || values.size > 1) {
    const what = value === undefined ? 'is not in' : 'stands twice in';
    throw refuseImage(`${fileName} ${what} the list of checksums ${listUrl}`, doubt);
  }
  return { algorithm, value };
}

async function signedText(
  text: Buffer,
  { url, fingerprint, keyring = '' }: NonNullable<ImageChecksumList['signature']>,
  looking: Looking,
): Promise<string> {
  const folder = await makeSandboxFolder(looking.folder);
  const files = { list: text, keyring: Buffer.from(keyring, 'base64') };
  const signature = url === undefined ? {} : { signature: await fetchSmall(url, largestSignatureBytes, looking) };
  for (const [name, content] of Object.entries({ ...files, ...signature })) {
    await writeFile(join(folder, name), content, { mode: 0o400, flag: 'wx' });
    await giveToNobody(join(folder, name));
  }
  const signed = url === undefined ? ['--output', '-', '/work/list'] : ['/work/signature', '/work/list'];
  const args = ['--homedir', '/work', '--status-fd', '2', '--keyring', '/work/keyring', ...signed];
  const { exitCode, stdout, stderr } = await runSandboxed({
    ...{ program: 'gpgv', args, folder, limits, signal: looking.signal },
  });
  if (/failed to execute/.test(stderr)) {
    const detail = 'Signatures are checked with gpgv, which is not installed on the host.';
    throw new VirgaError('HostIncapable', { detail, action: 'Install it: apt-get install gpgv' });
  }
  const judged = judgeSignatures(stderr, exitCode, fingerprint);
  if (judged === 'wrong') throw refuseImage(`has a list of checksums that ${fingerprint} has not signed`, doubt);
  if (judged !== 'good') {
    throw refuseImage(
      `has a list of checksums signed with the key ${fingerprint}, which ${judged === 'expired' ? 'has expired' : 'its owner has revoked'}`,
      'Ask the maker of the image for the key in use now. One that was only prolonged takes the place of its file in image-keys.',
    );
  }
  return url === undefined ? Buffer.from(stdout, 'latin1').toString('utf8') : text.toString('utf8');
}

async function fetchSmall(url: string, largestBytes: number, { source, resolve, signal }: Looking): Promise<Buffer> {
  const { maximumSeconds } = source.limits;
  const deadline = AbortSignal.timeout(maximumSeconds * 1000);
  const either = signal ? AbortSignal.any([signal, deadline]) : deadline;
  for (let failures = 0; ; failures++) {
    try {
      return await readSmall({ url, networks: source.networks, signal: either, resolve }, largestBytes);
    } catch (error) {
      signal?.throwIfAborted();
      if (deadline.aborted) throw unavailable(`${url} takes longer than ${maximumSeconds} s`, error);
      if (error instanceof VirgaError) throw error;
      if (failures === mostFailures) throw unavailable(`${url} cannot be read: ${(error as Error).message}`, error);
    }
    await sleep(1_000, undefined, { signal: either }).catch(() => undefined);
  }
}

async function readSmall(asked: WebRequest, largestBytes: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  const response = await askWeb(asked);
  try {
    requireContent(response);
    let bytes = 0;
    for await (const chunk of response.body as AsyncIterable<Buffer>) {
      bytes += chunk.length;
      if (bytes > largestBytes) throw unavailable(`${asked.url} is larger than a list of checksums`);
      chunks.push(chunk);
    }
  } finally {
    response.body.destroy();
  }
  return Buffer.concat(chunks);
}
