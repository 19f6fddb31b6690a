// How the control plane wants the CPUs of this host divided: a file of the storage, so that a guest that is started after a
// restart of the agent keeps to it before anybody has told the agent anew. One that cannot be read counts as none.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type DesiredCpuPools, readCpuPools } from '@virga/contract/agent/cpu-map';
import { writeFileDurably } from '../../durable-file.ts';
import type { Storage } from '../storage.ts';
import { wholeHost } from './cpu-division.ts';

/** `isSettled`: every guest that was on has been moved. */
type Recorded = { pools: DesiredCpuPools; isSettled: boolean };

const mode = 0o600;

export class CpuPoolRecord {
  readonly #path: string;
  #recorded: Promise<Recorded> | undefined;

  constructor(storage: Storage) {
    this.#path = join(storage.path, 'cpu-pools.json');
  }

  read(): Promise<Recorded> {
    this.#recorded ??= readRecorded(this.#path);
    return this.#recorded;
  }

  async write(recorded: Recorded): Promise<void> {
    await writeFileDurably(this.#path, `${JSON.stringify(recorded)}\n`, mode);
    this.#recorded = Promise.resolve(recorded);
  }
}

async function readRecorded(path: string): Promise<Recorded> {
  try {
    const { pools, isSettled } = JSON.parse(await readFile(path, 'utf8')) as { pools: unknown; isSettled: unknown };
    const known = readCpuPools(pools);
    if (known !== undefined) return { pools: known, isSettled: isSettled === true };
  } catch (error) {
    const isMissing = (error as NodeJS.ErrnoException).code === 'ENOENT';
    if (!isMissing && !(error instanceof SyntaxError)) throw error;
  }
  return { pools: wholeHost, isSettled: true };
}
