// Where programs run that read what a guest has written: as nobody, without network, without sight of other processes, with
// limits of memory and time. They see the host's files as nobody does, and the disk where it is shown; a file of unknown origin
// by itself is for sandbox/. Owns those limits. Fails with CommandFailed.
import { type ChildProcessWithoutNullStreams, execFile, spawn } from 'node:child_process';
import { CommandFailed } from '../run-command.ts';
import { rlimits } from '../sandbox/rlimits.ts';
import { nobody } from '../sandbox/sandbox.ts';

const memoryLimitBytes = 1024 ** 3;
const defaultTimeoutMs = 120_000;
const maxOutputBytes = 64 * 1024 * 1024;

export type SandboxOptions = {
  /** In whose mount namespace: where the disk can be seen. */
  mountsOf?: number | undefined;
  signal?: AbortSignal | undefined;
  env?: Record<string, string>;
  /** Of the clock, and of a processor. Default 120_000. */
  timeoutMs?: number;
  /** Of addresses. Default 1 GiB. */
  memoryBytes?: number;
  /** A group that it is in, besides nobody's. */
  group?: number | undefined;
  /** Ends with these count as success. Default 0 alone. */
  acceptedCodes?: readonly number[];
};

/** Runs a program as nobody. @returns what it wrote to its standard output @throws CommandFailed */
export function runAsNobody(program: string, args: readonly string[], options: SandboxOptions = {}): Promise<Buffer> {
  const { signal, timeoutMs = defaultTimeoutMs, acceptedCodes = [0] } = options;
  const [first, rest, env] = asNobody(program, args, options);
  const settings = {
    signal,
    timeout: timeoutMs,
    killSignal: 'SIGKILL' as const,
    maxBuffer: maxOutputBytes,
    encoding: 'buffer' as const,
    env,
  };
  return new Promise((resolve, reject) => {
    execFile(first, rest, settings, (error, stdout, stderr) => {
      if (signal?.aborted) return reject(signal.reason);
      const code = typeof error?.code === 'number' ? error.code : null;
      if (error === null || (code !== null && acceptedCodes.includes(code))) return resolve(stdout);
      reject(new CommandFailed(program, code, stderr.toString(), error));
    });
  });
}

/** Starts a program as nobody, to talk with; it ends with the signal, at the deadline, and with this process. */
export function startAsNobody(
  program: string,
  args: readonly string[],
  options: SandboxOptions = {},
): ChildProcessWithoutNullStreams {
  const { signal, timeoutMs = defaultTimeoutMs } = options;
  const [first, rest, env] = asNobody(program, args, options);
  return spawn(first, rest, { signal, timeout: timeoutMs, killSignal: 'SIGKILL', env });
}

function asNobody(program: string, args: readonly string[], options: SandboxOptions) {
  const { mountsOf, env, timeoutMs = defaultTimeoutMs, memoryBytes = memoryLimitBytes, group } = options;
  const enter = mountsOf === undefined ? [] : ['nsenter', '--mount', '--target', String(mountsOf), '--'];
  const groups = group === undefined ? ['--clear-groups'] : ['--groups', String(group)];
  const argv = [
    ...['--pdeathsig', 'KILL', '--'],
    ...enter,
    ...['unshare', '--net', '--pid', '--ipc', '--uts', '--fork', '--kill-child', '--'],
    // It stays, as the first process in there: it is told when whoever began it dies, which one that changes its user no longer
    // is, and its end is the end of all.
    ...['sh', '-c', '"$@"; exit $?', 'sh'],
    ...['setpriv', `--reuid=${nobody}`, `--regid=${nobody}`, ...groups, '--no-new-privs', '--bounding-set=-all', '--'],
    ...['prlimit', ...rlimits({ memoryBytes, cpuSeconds: timeoutMs / 1000 }), '--'],
    program,
    ...args,
  ];
  const path = process.env.PATH ?? '/usr/sbin:/usr/bin:/sbin:/bin';
  return ['setpriv', argv, { PATH: path, LC_ALL: 'C.UTF-8', TZ: 'UTC', ...env }] as const;
}
