// What `up` has done once and does not do again, kept in the state folder: who deletes the first instance means it.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { writeFileDurably } from '@virga/host-agent/durable-file';
import type { Folders } from '../server/folders.ts';

export type UpRecord = { firstInstanceId?: string };

const recordPath = (folders: Folders) => join(folders.state, 'up.json');

export function readUpRecord(folders: Folders): UpRecord {
  try {
    return JSON.parse(readFileSync(recordPath(folders), 'utf8')) as UpRecord;
  } catch {
    return {};
  }
}

export async function writeUpRecord(folders: Folders, record: UpRecord): Promise<void> {
  await writeFileDurably(recordPath(folders), `${JSON.stringify(record)}\n`, 0o644);
}
