// Copies one file into a guest or out of it, piece by piece, so that its size does not matter. In the guest it grows where it is to
// be, as no agent can rename.
import { open, stat } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import type { Readable } from 'node:stream';
import type { Client } from '@virga/contract/client';
import { VirgaError } from '@virga/contract/errors';
import type { GuestFileStatus } from '@virga/contract/rest/instance-guest';
import type { Instance } from '@virga/contract/rest/instances';
import { type Received, type ReceivingEnd, receiveFile } from '../received-file.ts';

/** Half a mebibyte: with others on their way, an agent that emulates a processor answers in time. */
const pieceBytes = 512 * 1024;
const permissionBits = 0o777;

export type GuestFile = { client: Client; instance: Instance; path: string };
export type Copied = Received;
export type OnCopied = (doneBytes: number, wholeBytes: number | undefined) => void;

export async function copyToGuest(
  file: GuestFile,
  source: { path: string } | { stream: Readable },
  onCopied: OnCopied,
  signal: AbortSignal,
): Promise<Copied> {
  const local = 'path' in source ? await statLocal(source.path) : undefined;
  const path = await targetInGuest(file, 'path' in source ? basename(source.path) : undefined);
  const mode = local === undefined ? {} : { mode: local.mode & permissionBits };
  let offset = 0;
  const write = async (bytes: Buffer) => {
    const body = { path, offset, data: bytes.toString('base64'), ...(offset === 0 ? mode : {}) };
    await file.client.writeGuestFile({ params: { id: file.instance.id }, body }, { signal });
    offset += bytes.length;
    onCopied(offset, local?.size);
  };
  const pieces = 'path' in source ? piecesOfFile(source.path) : piecesOfStream(source.stream);
  for await (const bytes of pieces) await write(bytes);
  if (offset === 0) await write(Buffer.alloc(0));
  return { path, sizeBytes: offset };
}

export async function copyFromGuest(
  file: GuestFile,
  target: ReceivingEnd,
  onCopied: OnCopied,
  signal: AbortSignal,
): Promise<Copied> {
  const status = await statusOf(file);
  if (status?.kind === 'absent') throw noSuchFile(file);
  if (status?.kind === 'directory') throw isDirectory(`${file.instance.name}:${file.path}`, tarOut(file));
  async function* pieces(): AsyncGenerator<Buffer> {
    for (let offset = 0; ; ) {
      const query = { path: file.path, offset, length: pieceBytes };
      const answer = await file.client.readGuestFile({ params: { id: file.instance.id }, query }, { signal });
      const bytes = Buffer.from(answer.data, 'base64');
      yield bytes;
      offset += bytes.length;
      onCopied(offset, status?.sizeBytes ?? undefined);
      if (answer.endOfFile || bytes.length === 0) return;
    }
  }
  return receiveFile(target, file.path, pieces(), status?.mode);
}

/** A folder gets the file under its own name. */
async function targetInGuest(file: GuestFile, name: string | undefined): Promise<string> {
  const status = await statusOf(file);
  if (status?.kind !== 'directory' && !file.path.endsWith('/')) return file.path;
  if (name !== undefined) return `${file.path.replace(/\/+$/, '')}/${name}`;
  throw isDirectory(`${file.instance.name}:${file.path}`, 'Name a file in it.');
}

/** Undefined when the guest does not run programs for its agent: then it is copied without knowing. */
async function statusOf({ client, instance, path }: GuestFile): Promise<GuestFileStatus | undefined> {
  try {
    return await client.getGuestFileStatus({ params: { id: instance.id }, query: { path } });
  } catch (error) {
    if (error instanceof VirgaError && error.code === 'GuestRefused') return undefined;
    throw error;
  }
}

async function statLocal(path: string) {
  const found = await stat(path).catch((cause: NodeJS.ErrnoException) => {
    throw new VirgaError('InvalidArgument', {
      detail: `The file ${path} cannot be read (${cause.code}).`,
      action: 'Give the path of a file; one of a guest is written INSTANCE:/PATH.',
      cause,
    });
  });
  if (found.isDirectory())
    throw isDirectory(path, 'Pack it: tar cf - FOLDER | virga exec INSTANCE -- tar xf - -C /TARGET');
  return found;
}

async function* piecesOfFile(path: string): AsyncGenerator<Buffer> {
  await using handle = await open(path);
  for (;;) {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(pieceBytes), 0, pieceBytes);
    if (bytesRead === 0) return;
    yield buffer.subarray(0, bytesRead);
  }
}

async function* piecesOfStream(stream: Readable): AsyncGenerator<Buffer> {
  let kept: Buffer[] = [];
  let keptBytes = 0;
  for await (const chunk of stream) {
    kept.push(Buffer.from(chunk));
    keptBytes += kept.at(-1)!.length;
    if (keptBytes < pieceBytes) continue;
    const whole = Buffer.concat(kept);
    const even = whole.length - (whole.length % pieceBytes);
    for (let at = 0; at < even; at += pieceBytes) yield whole.subarray(at, at + pieceBytes);
    kept = [whole.subarray(even)];
    keptBytes = whole.length - even;
  }
  if (keptBytes > 0) yield Buffer.concat(kept);
}

const tarOut = ({ instance, path }: GuestFile) =>
  `Pack it in the guest, and copy that: virga exec ${instance.name} -- tar cf /tmp/packed.tar ${path}`;

function isDirectory(name: string, action: string): VirgaError {
  return new VirgaError('InvalidArgument', { detail: `${name} is a directory.`, action });
}

function noSuchFile({ instance, path }: GuestFile): VirgaError {
  return new VirgaError('NotFound', {
    detail: `There is no file ${path} in ${instance.name}.`,
    action: `Look for it: virga exec ${instance.name} -- ls -l ${dirname(path)}`,
  });
}
