// A program that runs as long as we want it to and no longer: it ends with the signal, and with us, also when we are killed.
// Owns the child; who starts it reads and writes its streams. What it says on its standard error is kept, for the log.
import { type ChildProcess, type StdioOptions, spawn } from 'node:child_process';
import { once } from 'node:events';
import { VirgaError } from '@virga/contract/errors';
import { CommandFailed } from '../../run-command.ts';

export type OwnedProcess = ChildProcess & {
  /** @throws CommandFailed it ended with another code than 0 | the reason of the signal */
  ended: Promise<void>;
};

const keptErrorBytes = 16 * 1024;

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
  const kill = () => child.kill('SIGKILL');
  signal?.addEventListener('abort', kill, { once: true });
  const ended = once(child, 'close').then(
    ([code]: (number | null)[]) => {
      signal?.removeEventListener('abort', kill);
      if (code === 0) return;
      signal?.throwIfAborted();
      if (code === notFound) throw notInstalled(program, packageName);
      throw new CommandFailed(program, code ?? null, stderr, undefined);
    },
    (error) => {
      throw (error as NodeJS.ErrnoException).code === 'ENOENT' ? notInstalled('setpriv', 'util-linux') : error;
    },
  );
  // Who started it may look at it later.
  ended.catch(() => undefined);
  return Object.assign(child, { ended });
}

/** What setpriv answers when there is no such program. */
const notFound = 127;

const notInstalled = (program: string, packageName: string) =>
  new VirgaError('HostUnavailable', {
    detail: `The program ${program} is not installed on the host.`,
    action: `Install it: apt-get install ${packageName}`,
  });
