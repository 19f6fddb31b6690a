// Runs a program to its end and keeps what it prints.
import { spawn } from 'node:child_process';

export type Outcome = { exit: number | null; stdout: string; stderr: string };
export type RunOptions = {
  env?: NodeJS.ProcessEnv;
  /** What is on standard input; it ends afterwards. */
  input?: string;
  timeoutMs?: number;
};

/** A guest that is emulated on a busy machine takes its time. */
const usualTimeoutMs = 180_000;

export function runProgram(
  program: string,
  words: readonly string[],
  { env = process.env, input, timeoutMs = usualTimeoutMs }: RunOptions = {},
): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, words, { env, timeout: timeoutMs, killSignal: 'SIGKILL' });
    const printed = { stdout: '', stderr: '' };
    child.stdout.setEncoding('utf8').on('data', (text) => {
      printed.stdout += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text) => {
      printed.stderr += text;
    });
    child.on('error', reject);
    // What does not read its input closes it, which is no fault.
    child.stdin.on('error', () => undefined);
    child.stdin.end(input ?? '');
    child.on('close', (exit) => resolve({ exit, ...printed }));
  });
}

/** The same for what must succeed. Answers its standard output. */
export async function output(program: string, ...words: string[]): Promise<string> {
  const { exit, stdout, stderr } = await runProgram(program, words);
  if (exit !== 0) throw new Error(`${program} ${words.join(' ')} ended with ${exit}: ${stderr}`);
  return stdout;
}
