// Where images are put together: programs that are root of a user namespace of their own and nobody on the host, that see no
// process, mount or network card but their own, and that end with this process. Owns the namespaces. Fails with
// CommandFailed.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { CommandFailed } from '../run-command.ts';

/** The user on the host that root of a builder is. Nobody has files of these users. */
export const builderUid = 0x7000_0000;
const userCount = 65_536;
const keptLines = 40;

export type BuilderOptions = {
  /** The network of the host, to fetch packages. Default none. */
  network?: boolean;
  env?: Record<string, string>;
  timeoutMs?: number;
  signal?: AbortSignal | undefined;
  onLine?: (line: string) => void;
};

/** @throws CommandFailed with the last lines of what it said */
export async function runAsBuilder(args: readonly string[], options: BuilderOptions = {}): Promise<void> {
  const { network = false, env, timeoutMs = 60_000, signal, onLine } = options;
  signal?.throwIfAborted();
  const child = spawn(
    'unshare',
    [
      // It waits until its users are known; without them it is nobody, who can do nothing.
      ...['--user', '--keep-caps', '--', 'sh', '-c', 'read -r go && exec "$@"', 'sh'],
      ...['setpriv', '--reuid', '0', '--regid', '0', '--clear-groups', '--inh-caps=-all', '--ambient-caps=-all'],
      ...['--pdeathsig', 'KILL', '--'],
      ...['unshare', '--mount', '--pid', '--ipc', '--uts', '--fork', '--kill-child', '--mount-proc'],
      ...(network ? [] : ['--net']),
      ...['--', ...args],
    ],
    {
      stdio: ['pipe', 'pipe', 'pipe'],
      env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C.UTF-8', TZ: 'UTC', HOME: '/', ...env },
    },
  );
  const said: string[] = [];
  const hear = (line: string) => {
    said.push(line);
    if (said.length > keptLines) said.shift();
    onLine?.(line);
  };
  for (const stream of [child.stdout, child.stderr]) createInterface({ input: stream }).on('line', hear);
  child.stdin.on('error', () => {});
  const ended = once(child, 'close') as Promise<[number | null]>;
  const kill = () => child.kill('SIGKILL');
  const timer = setTimeout(kill, timeoutMs);
  signal?.addEventListener('abort', kill);
  try {
    if (child.pid !== undefined) await mapUsers(child.pid);
    child.stdin.end('go\n');
    const [code] = await ended;
    signal?.throwIfAborted();
    if (code !== 0) throw new CommandFailed(args[0] ?? '', code, said.join('\n'), undefined);
  } catch (error) {
    kill();
    await ended.catch(() => undefined);
    throw error;
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', kill);
  }
}

/** The namespace is made by the program that was started, a moment after that. */
async function mapUsers(pid: number): Promise<void> {
  const deadline = Date.now() + 10_000;
  const map = `0 ${builderUid} ${userCount}\n`;
  for (;;) {
    try {
      await writeFile(`/proc/${pid}/uid_map`, map);
      await writeFile(`/proc/${pid}/gid_map`, map);
      return;
    } catch (error) {
      // Until then it is the host's own, which takes no map.
      if ((error as NodeJS.ErrnoException).code !== 'EPERM' || Date.now() > deadline) throw error;
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
  }
}
