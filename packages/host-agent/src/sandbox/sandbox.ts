// Runs a program on data of unknown origin, locked away: as nobody, without capabilities or new privileges, without a network,
// in a file system that has the host's programs and one folder, with limits of memory, time and what it may write, and its
// whole family ended together. Where the kernel does not allow that, nothing is run: HostIncapable says so.
import { type ChildProcess, spawn } from 'node:child_process';
import { chown, mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { VirgaError } from '@virga/contract/errors';
import { rlimits, smallStackBytes } from './rlimits.ts';

/** Who programs are in there: somebody to whom nothing belongs. */
export const nobody = 65_534;

export type SandboxLimits = {
  memoryBytes: number;
  cpuSeconds: number;
  /** Largest file that it may write. */
  fileBytes: number;
  timeoutMs: number;
};

export type SandboxRun = {
  program: string;
  /** Its files are below `/work`. */
  args: readonly string[];
  /** What it sees as `/work`: ours, with files in it that belong to nobody. */
  folder: string;
  limits: SandboxLimits;
  /** Open files that it gets as standard input and output. Default nothing, and what is answered. */
  stdin?: number;
  stdout?: number;
  onOutput?: (text: string) => void;
  signal?: AbortSignal | undefined;
};

/** How a program ended. */
export type SandboxResult = { exitCode: number | null; stdout: string; stderr: string; isTimedOut: boolean };

const keptOutputBytes = 64 * 1024;
/** Said before the program begins: what ends without it has not been locked away. */
const ready = 'virga-sandbox-ready';

/**
 * Takes positional parameters only: nothing of a caller is ever part of the text. The mounts are in a namespace of their own
 * and go with it. Changing the root holds because what runs then has no capability to leave it. The shell stays, as the first
 * process of the namespace: it is told when whoever began it dies, which one that changes its user no longer is, and its end
 * is the end of all in there.
 */
const script = `
root=$1 work=$2 user=$3
shift 3
mount -t tmpfs -o size=256k,mode=0755,nosuid,nodev,noexec virga "$root" || exit 1
mkdir "$root/usr" "$root/work" "$root/etc" "$root/dev" || exit 1
mount --rbind /usr "$root/usr" && mount -o remount,bind,ro,nosuid,nodev "$root/usr" || exit 1
for name in bin sbin lib lib32 lib64 libx32; do
  if [ -L "/$name" ]; then cp -P "/$name" "$root/$name" || exit 1
  elif [ -d "/$name" ]; then
    mkdir "$root/$name" && mount --rbind "/$name" "$root/$name" &&
      mount -o remount,bind,ro,nosuid,nodev "$root/$name" || exit 1
  fi
done
if [ -e /etc/ld.so.cache ]; then cp /etc/ld.so.cache "$root/etc/" 2>/dev/null || :; fi
: >"$root/dev/null" && mount --bind /dev/null "$root/dev/null" || exit 1
mount --bind "$work" "$root/work" && mount -o remount,bind,nosuid,nodev,noexec "$root/work" || exit 1
mount -o remount,ro,size=256k,nosuid,nodev,noexec "$root" || exit 1
cd "$root" || exit 1
echo ${ready} >&2
chroot "$root" /usr/bin/setpriv --reuid="$user" --regid="$user" --clear-groups --inh-caps=-all --bounding-set=-all \\
  --no-new-privs -- "$@"
status=$?
exit $status
`;
/** What a shell says of a program that a signal has ended is more than this. */
const signalled = 128;

/** @throws HostIncapable the kernel or a missing program does not allow it; nothing has been run */
export async function runSandboxed(run: SandboxRun): Promise<SandboxResult> {
  const { program, args, folder, limits, signal } = run;
  if (process.getuid?.() !== 0) throw incapable('the agent does not run as root');
  const root = `${folder}.root`;
  await mkdir(root, { recursive: true, mode: 0o700 });
  try {
    signal?.throwIfAborted();
    const bounds = rlimits({ ...limits, stackBytes: smallStackBytes });
    const inside = ['/usr/bin/prlimit', ...bounds, '--', program, ...args];
    const namespaces = ['--mount', '--net', '--ipc', '--uts', '--pid', '--fork', '--kill-child=SIGKILL'];
    const outside = ['unshare', ...namespaces, '--', 'sh', '-c', script, 'sandbox', root, folder, String(nobody)];
    // Its end is the end of all: also when this process is killed, nothing of it goes on.
    const child = spawn('setpriv', ['--pdeathsig', 'KILL', '--', ...outside, ...inside], {
      cwd: '/',
      detached: true,
      stdio: [run.stdin ?? 'ignore', run.stdout ?? 'pipe', 'pipe'],
      env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C.UTF-8', MALLOC_ARENA_MAX: '2' },
    });
    const result = await ended(child, run);
    signal?.throwIfAborted();
    const [before, said] = result.stderr.split(`${ready}\n`);
    if (said === undefined && !result.isTimedOut) throw incapable(before?.trim().split('\n').at(-1) ?? '');
    return { ...result, stderr: said ?? '' };
  } finally {
    await rm(root, { recursive: true, force: true });
  }
}

function ended(child: ChildProcess, { limits, signal, onOutput }: SandboxRun): Promise<SandboxResult> {
  return new Promise((resolve, reject) => {
    let [stdout, stderr, isTimedOut] = ['', '', false];
    const kill = () => {
      try {
        if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
      } catch {
        // It has ended.
      }
    };
    const timer = setTimeout(() => {
      isTimedOut = true;
      kill();
    }, limits.timeoutMs);
    signal?.addEventListener('abort', kill, { once: true });
    const stop = () => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', kill);
    };
    child.stdout?.setEncoding('latin1').on('data', (text: string) => {
      onOutput?.(text);
      if (stdout.length < keptOutputBytes) stdout += text;
    });
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      if (stderr.length < keptOutputBytes) stderr += text;
    });
    child.on('error', (cause) => {
      stop();
      reject(incapable('util-linux is not installed', cause));
    });
    child.on('close', (exitCode) => {
      stop();
      const isSignalled = exitCode === null || exitCode > signalled;
      resolve({ exitCode: isSignalled ? null : exitCode, stdout, stderr, isTimedOut });
    });
  });
}

/** Gives a file to the programs that are locked away. */
export const giveToNobody = (path: string): Promise<void> => chown(path, nobody, nobody);

/** Makes a folder that programs may be locked away with. */
export async function makeSandboxFolder(path: string): Promise<string> {
  const folder = join(path, 'work');
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { mode: 0o711 });
  return folder;
}

function incapable(why: string, cause?: unknown): VirgaError {
  return new VirgaError('HostIncapable', {
    detail: `The host cannot lock away the programs that read images of unknown origin: ${why}.`,
    action:
      'Run the host agent as root, outside of containers that forbid new namespaces. Nothing is read without that.',
    cause,
  });
}
