// Running a program in our place: its terminal is ours, its exit code becomes ours.
import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import { VirgaError } from '@virga/contract/errors';
import type { TerminalIo } from '../terminal-io.ts';

/** Runs ssh with these arguments. Answers its exit code; 128 and the number of the signal when one ended it. */
export function runSsh(io: TerminalIo, args: readonly string[]): Promise<number> {
  const inherit = io.stdin === process.stdin && io.stdout === process.stdout && io.stderr === process.stderr;
  return new Promise((resolve, reject) => {
    const child = spawn('ssh', args, { env: io.env, stdio: inherit ? 'inherit' : 'pipe' });
    if (child.stdin) io.stdin.pipe(child.stdin).on('error', () => {});
    child.stdout?.pipe(io.stdout, { end: false });
    child.stderr?.pipe(io.stderr, { end: false });
    child.on('error', (cause) => {
      reject(
        new VirgaError('InvalidArgument', {
          detail: `ssh cannot be run: ${cause.message}.`,
          action: 'Install it, for instance with apt-get install openssh-client.',
          cause,
        }),
      );
    });
    // Ctrl-C belongs to ssh while it runs.
    const ignore = () => {};
    process.on('SIGINT', ignore);
    child.on('close', (code, signal) => {
      process.off('SIGINT', ignore);
      resolve(code ?? 128 + (signal ? constants.signals[signal] : 0));
    });
  });
}
