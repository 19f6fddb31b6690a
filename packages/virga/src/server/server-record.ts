// What a running server says about itself, in a file of its run folder: written when it serves, gone when it does not.
// A file that a killed server left behind is told apart by the lock of the state folder.
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { writeFileDurably } from '@virga/host-agent/durable-file';
import type { Folders } from './folders.ts';
import { lockHolder } from './state-lock.ts';

export type ServerRecord = {
  pid: number;
  /** Such as `http://127.0.0.1:8470`. */
  url: string;
  version: string;
  /** Which build of the program it is; absent when it runs from source. */
  build?: string | undefined;
  cloudId: string;
};

const recordPath = (folders: Folders) => join(folders.run, 'server.json');

export async function writeServerRecord(folders: Folders, record: ServerRecord): Promise<void> {
  await writeFileDurably(recordPath(folders), `${JSON.stringify(record, undefined, 2)}\n`, 0o644);
}

export function removeServerRecord(folders: Folders): void {
  rmSync(recordPath(folders), { force: true });
}

/** The server that serves now; undefined when none runs, or one that runs does not serve yet. */
export function readServerRecord(folders: Folders): ServerRecord | undefined {
  const holder = lockHolder(folders.state);
  if (holder === undefined) return undefined;
  try {
    const record = JSON.parse(readFileSync(recordPath(folders), 'utf8')) as ServerRecord;
    return record.pid === holder ? record : undefined;
  } catch {
    return undefined;
  }
}
