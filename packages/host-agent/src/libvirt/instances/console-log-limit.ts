// Keeps console logs within a size, whoever writes them. virtlogd rotates at 2 MiB by itself; where libvirt is set to let
// QEMU write the file (stdio_handler = "file"), or virtlogd not to rotate, a guest could fill the storage. Such a file is
// copied away and emptied: its writer appends, so it goes on at the new end. What was printed in that moment may be lost.
import { open, readdir, rename, rm, stat } from 'node:fs/promises';
import { isId } from '@virga/contract/ids';
import type { AgentContext } from '../agent-context.ts';
import { instanceFiles } from './instance-folder.ts';

/** Above what virtlogd lets stand, so that the two never meet. */
export const consoleLogLimitBytes = 4 * 1024 ** 2;
const keptBytes = 2 * 1024 ** 2;
const periodMs = 10_000;

/** Looks again and again until it is stopped. */
export function limitConsoleLogs(context: AgentContext): { stop(): void } {
  let isLooking = false;
  const look = async () => {
    if (isLooking) return;
    isLooking = true;
    await limitConsoleLogsNow(context).catch((err) => context.log.warn({ err }, 'console logs were not looked at'));
    isLooking = false;
  };
  const timer = setInterval(look, periodMs).unref();
  return { stop: () => clearInterval(timer) };
}

export async function limitConsoleLogsNow({ storage, log }: Pick<AgentContext, 'storage' | 'log'>): Promise<void> {
  for (const id of await readdir(storage.instancesPath)) {
    if (!isId('instance', id)) continue;
    const { consoleLog } = instanceFiles(storage, id);
    const sizeBytes = await stat(consoleLog).then(
      ({ size }) => size,
      () => 0,
    );
    if (sizeBytes <= consoleLogLimitBytes) continue;
    log.info({ instance: id, sizeBytes }, 'the console log is cut');
    await cut(consoleLog);
  }
}

async function cut(path: string): Promise<void> {
  const copy = `${path}.new`;
  try {
    await using from = await open(path, 'r+');
    await using to = await open(copy, 'w', 0o600);
    const { size } = await from.stat();
    const buffer = Buffer.alloc(Math.min(size, keptBytes));
    const { bytesRead } = await from.read(buffer, 0, buffer.length, size - buffer.length);
    await to.write(buffer, 0, bytesRead);
    await from.truncate(0);
    await rename(copy, `${path}.0`);
  } finally {
    await rm(copy, { force: true });
  }
}
