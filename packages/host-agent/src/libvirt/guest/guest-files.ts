// Files of a guest, a piece at a time, through its agent. A piece is opened, read or written, and closed again, so nothing of
// it stays in the guest when this process ends. What the agent has no command for, mode and status, programs of the guest do.
import type { CallContext } from '@virga/contract/agent/agent';
import type { GuestFileStatus, GuestPiece } from '@virga/contract/agent/guest';
import { VirgaError } from '@virga/contract/errors';
import type { InstanceId } from '@virga/contract/ids';
import type { AgentContext } from '../agent-context.ts';
import { askGuest } from './guest-agent.ts';
import { guestExec } from './guest-exec.ts';

/** An emulated guest reads what it is told byte by byte: this much of a file takes it a second on a busy host. */
const commandBytes = 128 * 1024;
const programMs = 30_000;
const typeBits = 0o170000;
const kinds = new Map<number, GuestFileStatus['kind']>([
  [0o100000, 'file'],
  [0o040000, 'directory'],
]);
const permissionBits = 0o7777;
const fromStart = 0;

type Handle = number;
type Read = { count: number; 'buf-b64': string; eof: boolean };

export async function guestFileStatus(
  context: AgentContext,
  id: InstanceId,
  path: string,
  call: CallContext = {},
): Promise<GuestFileStatus> {
  const stat = { command: ['stat', '-L', '-c', '%f %s', '--', path], waitMs: programMs };
  const { exitCode, stdout, stderr } = await guestExec(context, id, stat, call);
  const [, hex, size] = /^([0-9a-f]+) (\d+)\n$/.exec(stdout.toString()) ?? [];
  if (hex === undefined || size === undefined) {
    if (exitCode === 1) return { kind: 'absent', sizeBytes: null, mode: null };
    throw programFailed('stat', stderr);
  }
  const mode = Number.parseInt(hex, 16);
  return { kind: kinds.get(mode & typeBits) ?? 'other', sizeBytes: Number(size), mode: mode & permissionBits };
}

export function guestReadFile(
  context: AgentContext,
  id: InstanceId,
  { path, offset, length }: { path: string; offset: number; length: number },
  { signal }: CallContext = {},
): Promise<{ bytes: Buffer; endOfFile: boolean }> {
  return withFile(context, id, path, 'r', signal, async (ask, handle) => {
    if (offset > 0) await ask('guest-file-seek', { handle, offset, whence: fromStart });
    const parts: Buffer[] = [];
    for (let leftBytes = length, endOfFile = false; ; ) {
      const count = Math.min(leftBytes, commandBytes);
      const { 'buf-b64': data, eof } = (await ask('guest-file-read', { handle, count })) as Read;
      const part = Buffer.from(data, 'base64');
      parts.push(part);
      leftBytes -= part.length;
      endOfFile = eof || part.length === 0;
      if (endOfFile || leftBytes <= 0) return { bytes: Buffer.concat(parts), endOfFile };
    }
  });
}

export async function guestWriteFile(
  context: AgentContext,
  id: InstanceId,
  { path, offset, bytes, mode }: GuestPiece & { mode?: number | undefined },
  call: CallContext = {},
): Promise<void> {
  const { signal } = call;
  let openMode = offset === 0 ? 'w' : 'r+';
  if (mode !== undefined && offset === 0) {
    // Nobody may read what only its owner is to read, not even for a moment.
    await withFile(context, id, path, 'w', signal, async () => undefined);
    openMode = 'r+';
  }
  if (mode !== undefined) {
    const chmod = { command: ['chmod', mode.toString(8), '--', path], waitMs: programMs };
    const { exitCode, stderr } = await guestExec(context, id, chmod, call);
    if (exitCode !== 0) throw programFailed('chmod', stderr);
  }
  if (bytes.length === 0 && openMode === 'r+') return;
  await withFile(context, id, path, openMode, signal, async (ask, handle) => {
    if (offset > 0) await ask('guest-file-seek', { handle, offset, whence: fromStart });
    for (let at = 0; at < bytes.length; ) {
      const part = bytes.subarray(at, at + commandBytes);
      const answer = await ask('guest-file-write', { handle, 'buf-b64': part.toString('base64') });
      const { count } = answer as { count: number };
      if (count < part.length) throw notWritten(path, at + count, bytes.length);
      at += count;
    }
    if (bytes.length > 0) await ask('guest-file-flush', { handle });
  });
}

async function withFile<T>(
  context: AgentContext,
  id: InstanceId,
  path: string,
  mode: string,
  signal: AbortSignal | undefined,
  work: (ask: (execute: string, args: Record<string, unknown>) => Promise<unknown>, handle: Handle) => Promise<T>,
): Promise<T> {
  const ask = (execute: string, args: Record<string, unknown>) =>
    askGuest(context, id, { execute, arguments: args }, signal);
  const handle = (await ask('guest-file-open', { path, mode })) as Handle;
  const close = () => askGuest(context, id, { execute: 'guest-file-close', arguments: { handle } });
  try {
    const answer = await work(ask, handle);
    await close();
    return answer;
  } catch (error) {
    await close().catch(() => undefined);
    throw error;
  }
}

function programFailed(program: string, stderr: Buffer): VirgaError {
  const words = stderr.toString().trim().split('\n')[0] ?? '';
  return new VirgaError('GuestRefused', {
    detail: `The program ${program} failed in the guest: ${words === '' ? 'it said nothing' : words}.`,
    action: 'Mend what it says, and try again.',
  });
}

function notWritten(path: string, writtenBytes: number, wantedBytes: number): VirgaError {
  return new VirgaError('GuestRefused', {
    detail: `The guest has written ${writtenBytes} of ${wantedBytes} bytes to ${path}.`,
    action: 'Make room in the guest, and copy it again.',
  });
}
