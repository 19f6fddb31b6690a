// The state of a guest's devices, out of QEMU into a file and back. The memory itself is not in it: it is a file that the
// template wrote and that its copies map, each seeing its own changes only (x-ignore-shared). QEMU may start no program, so
// the state passes through a socket. Fails with what QEMU or the system said.
import { chmod, chown, type FileHandle, mkdtemp, open, readFile, rm } from 'node:fs/promises';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Connection } from '@virga/libvirt/connection/connect';
import type { DomainRef } from '@virga/libvirt/protocol/objects';
import type { GuestOwner } from '../host/guest-owner.ts';

const lookAgainMs = 3;
const patienceMs = 30_000;
const connectTries = 200;

const ignoreShared = (state: boolean) => ({
  execute: 'migrate-set-capabilities',
  arguments: { capabilities: [{ capability: 'x-ignore-shared', state }] },
});

/** Writes the state of a paused guest. */
export function saveState(
  { domains }: Connection,
  ref: DomainRef,
  { file, owner }: { file: string; owner: GuestOwner | undefined },
): Promise<void> {
  return withSocket(owner, async (socket) => {
    await domains.monitorCommand(ref, ignoreShared(true));
    await using target = await open(file, 'wx', 0o600);
    const written = Promise.withResolvers<void>();
    written.promise.catch(() => undefined);
    const server = createServer((from) => {
      copy(from, target).then(written.resolve, written.reject);
    });
    try {
      await new Promise<void>((resolve, reject) => server.once('error', reject).listen(socket, resolve));
      await chmod(socket, 0o600);
      if (owner !== undefined) await chown(socket, owner.uid, owner.gid);
      await domains.monitorCommand(ref, { execute: 'migrate', arguments: { uri: `unix:${socket}` } });
      await waitFor('the state was not saved', async () => {
        const answer = (await domains.monitorCommand(ref, { execute: 'query-migrate' })) as { status?: string };
        if (answer.status === 'failed') throw new Error(`QEMU could not save the state: ${JSON.stringify(answer)}`);
        return answer.status === 'completed';
      });
      await written.promise;
      await target.datasync();
    } finally {
      server.close();
    }
  });
}

/** Loads a state into a guest that waits for one; it is paused then. */
export function loadState(
  { domains }: Connection,
  ref: DomainRef,
  { file, owner }: { file: string; owner: GuestOwner | undefined },
): Promise<void> {
  return withSocket(owner, async (socket) => {
    await domains.monitorCommand(ref, ignoreShared(true));
    await domains.monitorCommand(ref, { execute: 'migrate-incoming', arguments: { uri: `unix:${socket}` } });
    // A megabyte or less.
    const state = await readFile(file);
    const to = await connected(socket);
    to.on('error', () => undefined).end(state);
    await waitFor('the state was not loaded', async () => {
      const { status } = (await domains.monitorCommand(ref, { execute: 'query-status' })) as { status: string };
      if (status !== 'inmigrate' && status !== 'paused' && status !== 'prelaunch') throw new Error(`QEMU is ${status}`);
      return status === 'paused';
    });
    // From now on its memory is its own: whoever saves it, as for a hibernation, saves all of it.
    await domains.monitorCommand(ref, ignoreShared(false));
  });
}

/** With a path that is short enough for a socket, in a folder that QEMU, which is not root, can use and nobody else. */
async function withSocket(owner: GuestOwner | undefined, work: (path: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(process.getuid?.() === 0 ? '/run' : tmpdir(), 'virga-memory.'));
  try {
    if (owner !== undefined) await chown(folder, owner.uid, owner.gid);
    await work(join(folder, 'socket'));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function copy(from: Socket, target: FileHandle): Promise<void> {
  for await (const chunk of from) await target.write(chunk as Buffer);
}

async function connected(path: string) {
  for (let left = connectTries; ; left--) {
    const socket = connect(path);
    const error = await new Promise<Error | undefined>((resolve) => {
      socket.once('connect', () => resolve(undefined)).once('error', resolve);
    });
    if (error === undefined) return socket;
    if (left === 0) throw error;
    await delay(lookAgainMs);
  }
}

async function waitFor(otherwise: string, isSo: () => Promise<boolean>): Promise<void> {
  const deadlineMs = performance.now() + patienceMs;
  while (!(await isSo())) {
    if (performance.now() > deadlineMs) throw new Error(`${otherwise} within ${patienceMs / 1000} s`);
    await delay(lookAgainMs);
  }
}
