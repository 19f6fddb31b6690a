// Runs a program of the host with arguments as they are, never through a shell. Owns the child's life: it ends with the
// deadline or the signal. Fails with CommandFailed, which keeps what the program said for the log; nobody matches on it.
import { execFile } from 'node:child_process';
import { VirgaError } from '@virga/contract/errors';

export type CommandOptions = {
  signal?: AbortSignal | undefined;
  /** Default 60_000. */
  timeoutMs?: number;
  /** Runs as this user and group; only root can do that. */
  user?: { uid: number; gid: number } | undefined;
  /** The Debian package that has the program, for the person who has to install it. */
  package?: string;
};

export class CommandFailed extends Error {
  override readonly name = 'CommandFailed';
  /** Null when a signal ended it, such as at the deadline. */
  readonly exitCode: number | null;
  readonly stderr: string;
  readonly stdout: string;

  constructor(program: string, exitCode: number | null, stderr: string, cause: unknown, stdout = '') {
    super(`${program} ended with ${exitCode === null ? 'a signal' : `code ${exitCode}`}: ${stderr.trim()}`, { cause });
    this.exitCode = exitCode;
    this.stderr = stderr;
    this.stdout = stdout;
  }
}

const maxOutputBytes = 1024 * 1024;

/**
 * Runs a program to its end.
 * @returns what it wrote to its standard output
 * @throws CommandFailed it ended with another code than 0, or was ended
 * @throws HostUnavailable it is not installed
 */
export function runCommand(program: string, args: readonly string[], options: CommandOptions = {}): Promise<string> {
  const { signal, timeoutMs = 60_000, user } = options;
  return new Promise((resolve, reject) => {
    const settings = {
      signal,
      timeout: timeoutMs,
      killSignal: 'SIGKILL' as const,
      maxBuffer: maxOutputBytes,
      // Messages are for the log, in one language; nothing else of our environment is the program's business.
      env: { PATH: process.env.PATH ?? '/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C.UTF-8' },
      ...user,
    };
    execFile(program, args, settings, (error, stdout, stderr) => {
      if (error === null) return resolve(stdout);
      if (signal?.aborted) return reject(signal.reason);
      if (error.code === 'ENOENT') return reject(notInstalled(program, options.package, error));
      reject(new CommandFailed(program, typeof error.code === 'number' ? error.code : null, stderr, error));
    });
  });
}

function notInstalled(program: string, packageName: string | undefined, cause: unknown): VirgaError {
  return new VirgaError('HostUnavailable', {
    detail: `The program ${program} is not installed on the host.`,
    action: packageName === undefined ? 'Install it.' : `Install it: apt-get install ${packageName}`,
    cause,
  });
}
