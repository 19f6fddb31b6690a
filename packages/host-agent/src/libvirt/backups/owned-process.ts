// A program that runs as long as we want it to and no longer: it ends with the signal, and with us, also when we are killed.
// Owns the child; who starts it reads and writes its streams. What it says on its standard error is kept, for the log.
import { type ChildProcess, type StdioOptions, spawn } from 'node:child_process';
import { once } from 'node:events';
import { VirgaError } from '@virga/contract/errors';
import { CommandFailed } from '../../run-command.ts';

export type OwnedProcess = ChildProcess & {
  /** @throws CommandFailed it ended with another code than 0, or does not end when it is killed | the reason of the signal */
  ended: Promise<void>;
  /** Ends it, for what has come of it is of no use. @param why what `ended` throws */
  giveUp(why: Error): void;
};

const keptErrorBytes = 16 * 1024;
/** What waits in the kernel, such as for a file server that is away, does not end before that has answered. */
const killMs = 30_000;

export function startOwned(
  program: string,
  args: readonly string[],
  {
    env = {},
    stdio,
    signal,
    package: packageName,
  }: { env?: Record<string, string>; stdio: StdioOptions; signal?: AbortSignal | undefined; package: string },
): OwnedProcess {
  signal?.throwIfAborted();
  // The kernel ends it when we end: a program that waits for our data would take our end for the end of the data.
  const child = spawn('setpriv', ['--pdeathsig', 'KILL', '--', program, ...args], {
    stdio,
    env: { PATH: process.env.PATH ?? '/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C.UTF-8', ...env },
  });
  let stderr = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    stderr = (stderr + text).slice(-keptErrorBytes);
  });
  const gone = new AbortController();
  let reason: Error | undefined;
  let timer: NodeJS.Timeout | undefined;
  const giveUp = (why: Error) => {
    reason ??= why;
    child.kill('SIGKILL');
    timer ??= setTimeout(() => {
      for (const stream of [child.stdin, child.stdout, child.stderr]) stream?.destroy();
      gone.abort(reason);
    }, killMs);
  };
  const kill = () => giveUp(signal!.reason as Error);
  signal?.addEventListener('abort', kill, { once: true });
  const ended = once(child, 'close', { signal: gone.signal }).then(
    ([code]: (number | null)[]) => {
      signal?.removeEventListener('abort', kill);
      clearTimeout(timer);
      if (code === 0) return;
      if (reason !== undefined) throw reason;
      if (code === notFound) throw notInstalled(program, packageName);
      throw new CommandFailed(program, code ?? null, stderr, undefined);
    },
    (error) => {
      signal?.removeEventListener('abort', kill);
      clearTimeout(timer);
      if (gone.signal.aborted) throw reason;
      throw (error as NodeJS.ErrnoException).code === 'ENOENT' ? notInstalled('setpriv', 'util-linux') : error;
    },
  );
  // Who started it may look at it later.
  ended.catch(() => undefined);
  return Object.assign(child, { ended, giveUp });
}

/** What setpriv answers when there is no such program. */
const notFound = 127;

const notInstalled = (program: string, packageName: string) =>
  new VirgaError('HostUnavailable', {
    detail: `The program ${program} is not installed on the host.`,
    action: `Install it: apt-get install ${packageName}`,
  });
