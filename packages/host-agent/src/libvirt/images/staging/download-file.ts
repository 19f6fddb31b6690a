// Downloads a file of unknown origin to where it is staged, and goes on where it was when the connection breaks, the agent
// ends, or the server is restarted: as long as the other side still has the same file. Owns limits of size and time.
import { open } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import type { DownloadSource } from '@virga/contract/agent/image-source';
import { refuseImage } from '../../../image-formats/refusal.ts';
import { requireSpace, reserveBytes, type Storage } from '../../storage.ts';
import type { StagedFile, StagedRecord } from './staged-file.ts';
import { askWeb, BrokenOff, type Resolve, unavailable, type WebResponse } from './web-request.ts';

export type Download = {
  source: Pick<DownloadSource, 'url' | 'limits' | 'networks'>;
  staged: StagedFile;
  storage: Storage;
  resolve?: Resolve | undefined;
  /** Waits between attempts begin with this and double. Default 1_000. */
  pauseMs?: number | undefined;
  onBytes: (bytes: number, totalBytes: number | undefined) => void;
  signal: AbortSignal | undefined;
};

const mostFailures = 8;
const longestPauseMs = 30_000;

/** @throws ImageSourceUnavailable | ImageUnusable it is too large | StorageFull */
export async function downloadFile(download: Download): Promise<void> {
  const { staged, source, signal, pauseMs = 1_000 } = download;
  const deadline = AbortSignal.timeout(source.limits.maximumSeconds * 1000);
  const either = signal ? AbortSignal.any([signal, deadline]) : deadline;
  let failures = 0;
  for (;;) {
    const before = await staged.sizeBytes();
    try {
      if (await takePart(download, either)) return;
      throw new BrokenOff('the connection ended before the end of the file');
    } catch (error) {
      signal?.throwIfAborted();
      if (deadline.aborted)
        throw unavailable(`${source.url} takes longer than ${source.limits.maximumSeconds} s`, error);
      if (!(error instanceof BrokenOff)) throw error;
      failures = (await staged.sizeBytes()) > before ? 1 : failures + 1;
      if (failures > mostFailures) throw unavailable(`${source.url} cannot be read: ${error.message}`, error);
    }
    const pause = Math.min(longestPauseMs, pauseMs * 2 ** (failures - 1));
    await sleep(pause, undefined, { signal: either }).catch(() => undefined);
  }
}

/** @returns whether all of it is here now */
async function takePart(download: Download, signal: AbortSignal): Promise<boolean> {
  const { staged, source } = download;
  let record = await staged.open();
  let haveBytes = await staged.sizeBytes();
  if (haveBytes > 0 && record.totalBytes === haveBytes) return true;
  // Without a name for what it was, a part of something else could be added to it.
  if (haveBytes > 0 && record.etag === undefined) {
    await staged.empty();
    haveBytes = 0;
  }
  const headers: Record<string, string> =
    haveBytes > 0 ? { range: `bytes=${haveBytes}-`, 'if-range': record.etag ?? '' } : {};
  const { networks, url } = source;
  const ask = (place: string) => askWeb({ url: place, networks, headers, signal, resolve: download.resolve });
  // One that sends everybody to another mirror each time: no two of those name the same file alike.
  let response =
    haveBytes > 0 && record.from !== undefined
      ? await ask(record.from).catch(() => signal.throwIfAborted())
      : undefined;
  if (!response || !isPartFrom(response, haveBytes, record)) {
    response?.body.destroy();
    response = await ask(url);
  }
  try {
    if (isPartFrom(response, haveBytes, record)) return await append(download, response, haveBytes, record, signal);
    if (response.status === 206 || response.status === 416) {
      await staged.empty();
      throw new BrokenOff('the file has changed meanwhile, and is downloaded from its beginning');
    }
    requireContent(response);
    await staged.empty();
    record = await staged.write({
      bootId: record.bootId,
      etag: validatorOf(response),
      ...(response.url !== url && { from: response.url }),
      totalBytes: lengthOf(response),
    });
    return await append(download, response, 0, record, signal);
  } finally {
    response.body.destroy();
  }
}

async function append(
  { staged, source, storage, onBytes }: Download,
  { body }: WebResponse,
  haveBytes: number,
  { totalBytes }: StagedRecord,
  signal: AbortSignal,
): Promise<boolean> {
  const { maximumFileBytes } = source.limits;
  const tooLarge = (bytes: number) =>
    refuseImage(
      `has ${totalBytes === undefined ? 'more than ' : ''}${bytes} bytes, and the cloud takes at most ${maximumFileBytes}`,
      'Ask an administrator of the cloud to take larger ones.',
    );
  if ((totalBytes ?? 0) > maximumFileBytes) throw tooLarge(totalBytes ?? 0);
  await requireSpace(storage, (totalBytes ?? haveBytes) - haveBytes + reserveBytes);
  await using file = await open(staged.path, 'a', 0o600);
  let bytes = haveBytes;
  try {
    for await (const chunk of body as AsyncIterable<Buffer>) {
      signal.throwIfAborted();
      bytes += chunk.length;
      if (bytes > maximumFileBytes) throw tooLarge(maximumFileBytes);
      if (totalBytes !== undefined && bytes > totalBytes) throw unavailable(`${source.url} sends more than it says`);
      await file.write(chunk);
      onBytes(bytes, totalBytes);
    }
  } catch (error) {
    const isOurs =
      signal.aborted || (error as { code?: string }).code === 'ENOSPC' || (error as Error).name !== 'Error';
    throw isOurs ? error : new BrokenOff((error as Error).message, { cause: error });
  } finally {
    await file.datasync();
  }
  return totalBytes === undefined ? body.complete : bytes === totalBytes;
}

function isPartFrom({ status, headers }: WebResponse, haveBytes: number, record: StagedRecord): boolean {
  if (status !== 206 || haveBytes === 0) return false;
  const [, from, total] = /^bytes (\d+)-\d+\/(\d+)$/.exec(headers['content-range'] ?? '') ?? [];
  return Number(from) === haveBytes && (record.totalBytes === undefined || Number(total) === record.totalBytes);
}

/** @throws ImageSourceUnavailable | BrokenOff */
export function requireContent({ url, status, headers }: WebResponse): void {
  if (status === 429 || status >= 500) throw new BrokenOff(`the server answers ${status}`);
  if (status !== 200) throw unavailable(`${url} answers ${status}`);
  const { 'content-encoding': encoding = 'identity' } = headers;
  if (encoding !== 'identity') throw unavailable(`${url} is sent compressed, though that was not asked for`);
}

/** What says that a further part belongs to the same file. @see RFC 9110, 13.1.5 */
function validatorOf({ headers }: WebResponse): string | undefined {
  const { etag } = headers;
  return etag !== undefined && !etag.startsWith('W/') ? etag : headers['last-modified'];
}

function lengthOf({ headers }: WebResponse): number | undefined {
  const length = Number(headers['content-length'] ?? Number.NaN);
  return Number.isSafeInteger(length) && length >= 0 ? length : undefined;
}
