// Brings an image in that is not a file of the host: fetched as a whole, compared with its checksum, taken apart, converted, and
// settled like any other. What is refused leaves nothing. What was only cut off stays, and the next call goes on with it.
import { mkdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { CallContext } from '@virga/contract/agent/agent';
import type { DesiredImage } from '@virga/contract/agent/desired';
import type { DownloadSource, ImageChecksum, UploadSource } from '@virga/contract/agent/image-source';
import type { ObservedImage } from '@virga/contract/agent/observed';
import { VirgaError } from '@virga/contract/errors';
import { fetchAgain, refuseImage } from '../../../image-formats/refusal.ts';
import type { AgentContext } from '../../agent-context.ts';
import { storageError } from '../../storage.ts';
import { imageFile, removeImage, unfinishedFolder } from '../image-store.ts';
import { settleImage } from '../settle-image.ts';
import { type Listed, readChecksumList } from './checksum-list.ts';
import { convertImage } from './convert-image.ts';
import { downloadFile } from './download-file.ts';
import { digestsOf, StagedFile, type StagedRecord } from './staged-file.ts';
import { sizeOf, unpackImage } from './unpack-image.ts';
import type { Resolve } from './web-request.ts';

type Desired = DesiredImage & { source: DownloadSource | UploadSource };
type Verified = NonNullable<StagedRecord['verified']>;

const folderMode = 0o711;
/** Where each part of the work ends, in percent. */
const shares = { fetch: 60, verify: 65, unpack: 70, convert: 90 };

export async function importStaged(
  context: AgentContext,
  desired: Desired,
  call: CallContext,
  resolve?: Resolve,
): Promise<ObservedImage> {
  const { storage } = context;
  const staged = new StagedFile(storage, desired);
  const unfinished = unfinishedFolder(storage, desired.id, desired.cloudId);
  try {
    const verified = await fetchWhole(context, desired, staged, call, resolve);
    const observed = await takeIn(context, desired, { staged, unfinished, verified }, call);
    await staged.remove();
    return observed;
  } catch (thrown) {
    await rm(unfinished, { recursive: true, force: true });
    const error = storageError(thrown, storage, 'bring an image in');
    if (error instanceof VirgaError && isForGood(error)) await staged.remove();
    throw error;
  }
}

/** Neither cut off nor asked for too early. */
const isForGood = ({ code }: VirgaError) => code !== 'HostUnavailable' && code !== 'Conflict';

async function fetchWhole(
  context: AgentContext,
  { id, source }: Desired,
  staged: StagedFile,
  { onProgress, signal }: CallContext,
  resolve: Resolve | undefined,
): Promise<Verified> {
  const known = await staged.read();
  if (known?.verified) return known.verified;
  await context.hook('fetch-image', id);
  let listed: Listed | undefined;
  if (source.kind === 'upload') await requireWhole(staged, source);
  else {
    // Before gigabytes are fetched that nobody vouches for.
    await staged.open();
    listed = await lookUp(source, staged, resolve, signal);
    await downloadFile({
      ...{ source, staged, resolve, signal, storage: context.storage },
      onBytes: (bytes, total) => {
        const message = `downloading the image: ${mebibytes(bytes)}${total ? ` of ${mebibytes(total)}` : ''}`;
        onProgress?.(message, Math.floor(((total ? bytes / total : 0) || 0) * shares.fetch));
      },
    });
  }
  await context.hook('verify-image', id);
  const sizeBytes = await staged.sizeBytes();
  const wanted = [source.checksum, listed?.checksum].filter((checksum) => checksum !== undefined);
  const digests = await digestsOf(staged.path, ['sha256', ...(wanted.some(is512) ? (['sha512'] as const) : [])], {
    signal,
    onBytes: (bytes) => {
      const share = (shares.verify - shares.fetch) * (bytes / sizeBytes);
      onProgress?.('comparing checksums', Math.floor(shares.fetch + share));
    },
  });
  const is = ({ algorithm, value }: ImageChecksum) => digests.get(algorithm) === value;
  // The makers put another image in its place meanwhile, and another list.
  if (source.kind === 'download' && listed && !is(listed.checksum)) {
    listed = await lookUp(source, staged, resolve, signal);
  }
  for (const checksum of [source.checksum, listed?.checksum]) {
    if (checksum) requireChecksum(checksum, digests.get(checksum.algorithm));
  }
  const verified: Verified = {
    checksum: wanted.length > 0 ? 'matched' : 'none',
    signature: listed?.signature ?? 'none',
    sha256: digests.get('sha256')!,
    sizeBytes,
    ...(listed?.signedBy && { signedBy: listed.signedBy }),
  };
  await staged.write({ ...(await staged.open()), verified });
  return verified;
}

const is512 = ({ algorithm }: ImageChecksum) => algorithm === 'sha512';

async function requireWhole(staged: StagedFile, { sizeBytes }: UploadSource): Promise<void> {
  const haveBytes = (await staged.read()) ? await staged.sizeBytes() : undefined;
  if (haveBytes === sizeBytes) return;
  if (haveBytes === undefined) {
    throw new VirgaError('NotFound', {
      detail: 'The image was sent to another host and is not on this one.',
      action: 'Import it by an address that every host can read.',
    });
  }
  throw new VirgaError('Conflict', {
    detail: `Of the image ${haveBytes} of ${sizeBytes} bytes have been sent.`,
    action: 'Send the rest.',
  });
}

async function lookUp(
  source: DownloadSource,
  { folder }: StagedFile,
  resolve: Resolve | undefined,
  signal: AbortSignal | undefined,
): Promise<Listed | undefined> {
  return source.checksumList && readChecksumList(source.checksumList, { source, folder, resolve, signal });
}

function requireChecksum({ algorithm, value }: ImageChecksum, actual: string | undefined): void {
  if (actual === value) return;
  throw refuseImage(
    `has the ${algorithm === 'sha256' ? 'SHA-256' : 'SHA-512'} ${actual} and should have ${value}`,
    fetchAgain,
  );
}

async function takeIn(
  context: AgentContext,
  desired: Desired,
  { staged, unfinished, verified }: { staged: StagedFile; unfinished: string; verified: Verified },
  { onProgress, signal }: CallContext,
): Promise<ObservedImage> {
  const { storage, hook } = context;
  const { id, source, kind = 'disk' } = desired;
  const { folder } = staged;
  const { limits } = source;
  await hook('unpack-image', id);
  onProgress?.('looking at the image', shares.verify);
  const disk = await unpackImage(staged.path, {
    folder,
    storage,
    limits,
    signal,
    stated: { format: source.format, kind },
  });
  await hook('convert-image', id);
  const onPercent = (percent: number) =>
    onProgress?.(
      'converting the image',
      Math.floor(shares.unpack + (shares.convert - shares.unpack) * (percent / 100)),
    );
  onPercent(0);
  // A disc is left as it is: a drive reads it so, and no program of the host has to.
  const path = kind === 'iso' ? disk.path : await convertImage({ disk, folder, storage, limits, onPercent, signal });
  await removeImage(storage, id, desired.cloudId, { keepStaged: true });
  await mkdir(unfinished, { mode: folderMode });
  await rename(path, join(unfinished, imageFile));
  const filled = join(unfinished, imageFile);
  const sha256 = (await digestsOf(filled, ['sha256'], { signal })).get('sha256')!;
  const verification = { ...verified, format: disk.cameAs };
  const { virtualSizeBytes } = disk;
  return settleImage(
    context,
    desired,
    { unfinished, virtualSizeBytes, sizeBytes: await sizeOf(filled), sha256, verification },
    { onProgress, signal },
  );
}

const mebibytes = (bytes: number): string => `${Math.floor(bytes / 1024 ** 2)} MiB`;
