// Runs a program of the machine: an argument list, never a shell string. What it says on failure becomes the error.
import { spawn } from 'node:child_process';
import { VirgaError } from '@virga/contract/errors';

export type RunOptions = {
  env?: NodeJS.ProcessEnv;
  cwd?: string;
  /** Runs as this user; only root can do that. */
  user?: { uid: number; gid: number };
  onLine?: (line: string) => void;
};

/**
 * Runs a program to its end and answers what it printed.
 * @param argv the program and its arguments
 * @throws OperationFailed it is not there, or ended with something other than 0; the detail ends with its last words
 */
export async function runCommand(argv: readonly string[], options: RunOptions = {}): Promise<string> {
  const { env, cwd, user, onLine } = options;
  const [program = '', ...args] = argv;
  const child = spawn(program, args, {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    ...(cwd === undefined ? {} : { cwd }),
    ...(user === undefined ? {} : { uid: user.uid, gid: user.gid }),
  });
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (chunk) => {
    stdout += chunk;
  });
  child.stderr.on('data', (chunk) => {
    stderr += chunk;
    const line = String(chunk).trim().split('\n').at(-1);
    if (line) onLine?.(line);
  });
  const code = await new Promise<number | string>((resolve) => {
    child.on('error', (error) => resolve(error.message));
    child.on('close', (status, signal) => resolve(status ?? signal ?? 'no reason'));
  });
  if (code === 0) return stdout;
  throw new VirgaError('OperationFailed', {
    detail: `${argv.join(' ')} failed (${code}): ${lastWords(stderr || stdout)}`,
    action: 'Mend what it says, then run this again.',
  });
}

/** The last few lines of a text, as one. */
export function lastWords(text: string, lines = 4): string {
  return text.trim().split('\n').slice(-lines).join(' / ') || 'it said nothing.';
}
