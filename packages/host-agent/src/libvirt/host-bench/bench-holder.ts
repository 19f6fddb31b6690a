// Who makes a comparison on a host: written in its folder before anything else is there, so that another agent on the same
// storage, such as that of a command beside the server, takes nothing of it away. Of a process that is gone it says nothing.
import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { writeFileDurably } from '../../durable-file.ts';

type Holder = { pid: number; startedAt: string; token: string };

const pathIn = (folder: string): string => join(folder, 'holder.json');

export class BenchHolder {
  private readonly token = randomUUID();

  async hold(folder: string): Promise<void> {
    const { pid } = process;
    const holder: Holder = { pid, startedAt: (await startOf(pid)) ?? '', token: this.token };
    await writeFileDurably(pathIn(folder), JSON.stringify(holder), 0o600);
  }

  /** Another agent that lives is at it. */
  async isHeldByOther(folder: string): Promise<boolean> {
    const text = await readFile(pathIn(folder), 'utf8').catch(() => undefined);
    if (text === undefined) return false;
    const { pid, startedAt, token } = JSON.parse(text) as Holder;
    return token !== this.token && (await startOf(pid)) === startedAt;
  }
}

/** Of a process that lives: a number that no later one with its id has. @see man 5 proc_pid_stat, field 22 */
async function startOf(pid: number): Promise<string | undefined> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined);
  const fields = stat?.replace(/^.*\) /s, '').split(' ');
  // One that has ended and was not waited for yet is gone too.
  return fields?.[0] === 'Z' ? undefined : fields?.[19];
}
