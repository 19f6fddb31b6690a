// restic, which keeps the stores: it cuts data into chunks, keeps each once, compresses, encrypts and checks them. Owns how it is
// called. Its secrets are in no file and in no arguments: the password is in memory that only its process is handed, the keys of
// S3 are in its environment. Fails with BackupStoreUnavailable: restic says only in words what is wrong, and nobody matches on it.
import { once } from 'node:events';
import { accessSync, constants } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import type { BackupStoreAccess } from '@virga/contract/agent/backups';
import { VirgaError } from '@virga/contract/errors';
import { CommandFailed } from '../../run-command.ts';
import { openSecret } from '../../secret-file.ts';
import { type OwnedProcess, startOwned } from './owned-process.ts';

/** As restic is told which open file has the password: the one after the three that every program has. */
const passwordPath = '/proc/self/fd/3';
const hostName = 'virga';
const bytesPerKib = 1024;
/** A store that does not answer keeps restic waiting for ever. */
const silenceMs = 15 * 60_000;
/** What it may have in its hands without a word, at whatever rate. */
const bufferedBytes = 64 * 1024 * 1024;

/** More than the list of a million snapshots. */
const mostOutputBytes = 512 * 1024 * 1024;

export type Restic = {
  process: OwnedProcess;
  /** It has ended well, and nothing of it is left. @throws BackupStoreUnavailable | the reason of the signal */
  ended: Promise<void>;
  /** To be called when it has read or written something: what is silent for too long is ended. */
  heard(): void;
};

type Options = {
  signal?: AbortSignal | undefined;
  input?: boolean;
  /** How long it may be silent. */
  patienceMs?: number | undefined;
};

/** @param cachePath what restic remembers of stores, encrypted as they are */
export async function startRestic(
  store: BackupStoreAccess,
  cachePath: string,
  args: readonly string[],
  { signal, input = false, patienceMs = patienceFor(store) }: Options = {},
): Promise<Restic> {
  const password = await openSecret(store.password);
  let folder: string | null = null;
  const clear = async () => {
    await password.close();
    if (folder !== null) await rm(folder, { recursive: true, force: true });
  };
  try {
    if (store.place.kind === 's3' && store.place.ca !== null) folder = await certificateFolder(store.place.ca);
    const process = startOwned('restic', [...globalArgs(store, cachePath, folder), ...args], {
      stdio: [input ? 'pipe' : 'ignore', 'pipe', 'pipe', password.fd],
      env: { HOME: cachePath, RESTIC_PROGRESS_FPS: '0.5', ...s3Environment(store) },
      signal,
      package: 'restic',
    });
    let timer: NodeJS.Timeout | undefined;
    const tooLong = () => {
      const why = `nothing was heard of it for ${Math.round(patienceMs / 60_000)} minutes`;
      process.giveUp(new CommandFailed('restic', null, why, undefined));
    };
    const heard = () => {
      clearTimeout(timer);
      timer = setTimeout(tooLong, patienceMs);
    };
    heard();
    const ended = process.ended
      .catch((error) => {
        throw error instanceof CommandFailed ? unavailable(store, error) : error;
      })
      .finally(() => {
        clearTimeout(timer);
        return clear();
      });
    ended.catch(() => undefined);
    return { process, ended, heard };
  } catch (error) {
    await clear();
    throw error;
  }
}

/** Runs restic to its end. @returns what it wrote to its standard output */
export async function runRestic(
  store: BackupStoreAccess,
  cachePath: string,
  args: readonly string[],
  options: Omit<Options, 'input'> = {},
): Promise<string> {
  const { process, ended, heard } = await startRestic(store, cachePath, args, options);
  const chunks: Buffer[] = [];
  let bytes = 0;
  try {
    for await (const chunk of process.stdout!) {
      chunks.push(chunk as Buffer);
      bytes += (chunk as Buffer).length;
      // Others write into the store too.
      if (bytes > mostOutputBytes)
        process.giveUp(new CommandFailed('restic', null, 'it says without an end', undefined));
      heard();
    }
  } catch (error) {
    // Why it was given up says more than that it has.
    await ended;
    throw error;
  }
  await ended;
  return Buffer.concat(chunks).toString('utf8');
}

export type Snapshot = { id: string; short_id: string; time: string; tags?: string[] };

export async function listSnapshots(
  store: BackupStoreAccess,
  cachePath: string,
  tags: readonly string[],
  options?: Pick<Options, 'signal'>,
): Promise<Snapshot[]> {
  const filter = tags.length > 0 ? ['--tag', tags.join(',')] : [];
  return JSON.parse(await runRestic(store, cachePath, ['snapshots', '--json', ...filter], options)) as Snapshot[];
}

type Summary = { message_type: string; snapshot_id: string; data_added: number };

/**
 * Puts a stream into the store as a file of a snapshot of its own. When the stream fails, nothing of it becomes a snapshot.
 * @returns beginning of the id of the snapshot, and what the store did not have yet
 */
export async function storeStream(
  store: BackupStoreAccess,
  cachePath: string,
  stream: AsyncIterable<Buffer>,
  { name, tags, signal }: { name: string; tags: readonly string[]; signal?: AbortSignal | undefined },
): Promise<{ shortId: string; addedBytes: number }> {
  const args = ['backup', '--json', '--stdin', '--stdin-filename', name, '--host', hostName, '--tag', tags.join(',')];
  const { process, ended, heard } = await startRestic(store, cachePath, args, { signal, input: true });
  const output = lastLine(process.stdout!);
  output.catch(() => undefined);
  try {
    await feed(process.stdin!, stream, heard);
  } catch (error) {
    // The end of its input would be the end of the file to it.
    process.giveUp(error as Error);
    await ended.catch(() => undefined);
    if (isPipeError(error)) await ended;
    throw error;
  }
  const line = await output;
  await ended;
  const summary = JSON.parse(line) as Summary;
  return { shortId: summary.snapshot_id, addedBytes: summary.data_added };
}

/** Each time that restic is called it takes its time to open the store, so the whole ids of several snapshots are asked for at once. */
export async function wholeIds(
  store: BackupStoreAccess,
  cachePath: string,
  tags: readonly string[],
  shortIds: readonly string[],
  options?: Pick<Options, 'signal'>,
): Promise<string[]> {
  const found = await listSnapshots(store, cachePath, tags, options);
  return shortIds.map((shortId) => {
    const [id, another] = found.filter((snapshot) => snapshot.id.startsWith(shortId));
    if (id === undefined || another !== undefined) throw new Error(`restic does not find its snapshot ${shortId}`);
    return id.id;
  });
}

/** What restic ended is told by its own end. */
const isPipeError = (error: unknown): boolean => (error as NodeJS.ErrnoException).code === 'EPIPE';

async function feed(stdin: Writable, stream: AsyncIterable<Buffer>, heard: () => void): Promise<void> {
  let failure: Error | undefined;
  stdin.on('error', (error) => {
    failure = error;
  });
  const closed = once(stdin, 'close').catch(() => undefined);
  for await (const chunk of stream) {
    if (failure !== undefined) throw failure;
    if (!stdin.write(chunk)) await Promise.race([once(stdin, 'drain'), closed]);
    heard();
    if (stdin.destroyed) throw Object.assign(new Error('restic reads no more'), { code: 'EPIPE' });
  }
  if (failure !== undefined) throw failure;
  stdin.end();
}

async function lastLine(stdout: Readable): Promise<string> {
  let text = '';
  for await (const chunk of stdout.setEncoding('utf8')) {
    text += chunk as string;
    const complete = text.trimEnd().lastIndexOf('\n');
    if (complete >= 0) text = text.slice(complete + 1);
  }
  return text.trim();
}

function patienceFor({ limitBytesPerSecond: limit }: BackupStoreAccess): number {
  return silenceMs + (limit === null ? 0 : (bufferedBytes / limit) * 1000);
}

function globalArgs({ place, limitBytesPerSecond }: BackupStoreAccess, cachePath: string, caFolder: string | null) {
  const repository =
    place.kind === 'directory'
      ? place.path
      : `s3:${place.endpoint}/${[place.bucket, place.prefix].filter((part) => part !== '').join('/')}`;
  const limit = limitBytesPerSecond === null ? null : String(Math.max(1, Math.ceil(limitBytesPerSecond / bytesPerKib)));
  return [
    ...['--repo', repository, '--password-file', passwordPath, '--cache-dir', join(cachePath, 'restic')],
    ...(limit === null ? [] : ['--limit-upload', limit, '--limit-download', limit]),
    ...(place.kind === 'directory' && isReadOnly(place.path) ? ['--no-lock'] : []),
    ...(caFolder === null ? [] : ['--cacert', join(caFolder, 'ca.pem')]),
    ...(place.kind === 's3' ? ['-o', 's3.bucket-lookup=path', '-o', `s3.region=${place.region}`] : []),
  ];
}

/** There nobody changes anything, and no lock can be put there either. */
function isReadOnly(path: string): boolean {
  try {
    accessSync(path, constants.W_OK);
    return false;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EROFS';
  }
}

const s3Environment = ({ s3Keys }: BackupStoreAccess): Record<string, string> =>
  s3Keys === undefined ? {} : { AWS_ACCESS_KEY_ID: s3Keys.accessKeyId, AWS_SECRET_ACCESS_KEY: s3Keys.secretAccessKey };

async function certificateFolder(ca: string): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'virga-ca-'));
  await writeFile(join(folder, 'ca.pem'), ca);
  return folder;
}

const unavailable = ({ place }: BackupStoreAccess, cause: CommandFailed) =>
  new VirgaError('BackupStoreUnavailable', {
    detail: `The backup store ${place.kind === 'directory' ? place.path : `${place.endpoint}/${place.bucket}`} cannot be worked with: ${lastSentence(cause)}`,
    action: 'Look after the store: whether it is there, has room, and is opened by this password. It is tried again.',
    cause,
  });

/** What it gives up with; else the last that it said. Only to be read by people. */
function lastSentence({ stderr, message }: CommandFailed): string {
  const lines = stderr
    .trim()
    .split('\n')
    .filter((line) => line !== '');
  return lines.find((line) => line.startsWith('Fatal: '))?.slice('Fatal: '.length) ?? lines.at(-1) ?? message;
}
