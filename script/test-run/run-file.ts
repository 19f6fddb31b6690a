// Runs one test file in a process of its own and reads the records of its reporter. Ends the process when it takes too
// long, or when its tests are over and it does not end: something was left open, which is a defect of the test.
import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { closeSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Ending, type FileResult, fileResult, type TestRecord } from './record.ts';

export type RunFileOptions = {
  root: string;
  path: string;
  /** What is put before the command, such as the script that makes namespaces. */
  prefix: readonly string[];
  env: NodeJS.ProcessEnv;
  /** For one test. */
  testTimeoutMs: number;
  /** For the whole file. */
  fileTimeoutMs: number;
};

const lingerMs = 15_000;
const leftBehindMs = 3_000;
const keptOutputCharacters = 20_000;

export async function runFile(options: RunFileOptions): Promise<FileResult> {
  const startedAt = performance.now();
  const ending: Ending = { code: null, signal: null };
  let output = '';
  // Passed as an open file, because the path of one may mean another file inside the child's own mounts.
  const recordsPath = join(tmpdir(), `records-${randomUUID()}`);
  const recordsFile = openSync(recordsPath, 'a+');
  const readRecords = () =>
    readFileSync(recordsPath, 'utf8')
      .split('\n')
      .slice(0, -1)
      .map((line) => JSON.parse(line) as TestRecord);

  const [command = process.execPath, ...args] = [
    ...options.prefix,
    process.execPath,
    '--conditions=development',
    `--test-timeout=${options.testTimeoutMs}`,
    `--test-reporter=${join(import.meta.dirname, 'reporter.ts')}`,
    '--test-reporter-destination=/dev/fd/3',
    options.path,
  ];
  const child = spawn(command, args, {
    cwd: options.root,
    env: options.env,
    stdio: ['ignore', 'pipe', 'pipe', recordsFile],
  });
  closeSync(recordsFile);
  const end = (why: string) => {
    ending.killedBecause ??= why;
    // The script that makes namespaces takes everything in them down with it, when it is asked to.
    child.kill(options.prefix.length > 0 ? 'SIGTERM' : 'SIGKILL');
  };
  const deadline = setTimeout(
    () => end(`The file was ended after ${options.fileTimeoutMs / 1000} s.`),
    options.fileTimeoutMs,
  );
  let linger: NodeJS.Timeout | undefined;
  let leftBehind: NodeJS.Timeout | undefined;

  const keep = (chunk: Buffer) => {
    output = (output + chunk.toString()).slice(-keptOutputCharacters);
  };
  child.stdout?.on('data', keep);
  child.stderr?.on('data', keep);
  const lingering = setInterval(() => {
    if (linger || readRecords().at(-1)?.kind !== 'end') return;
    const why = `The file did not end within ${lingerMs / 1000} s of its last test: something is still open.`;
    linger = setTimeout(() => end(why), lingerMs);
  }, 1000);

  await new Promise<void>((resolve) => {
    child.on('error', (error) => {
      ending.killedBecause = `The file could not be started: ${error.message}`;
      resolve();
    });
    child.on('exit', (code, signal) => {
      ending.code = code;
      ending.signal = signal;
      leftBehind = setTimeout(() => {
        ending.killedBecause ??= 'The file left a process behind that still holds its output open.';
        for (const stream of child.stdio) stream?.destroy();
        resolve();
      }, leftBehindMs);
    });
    child.on('close', () => resolve());
  });
  clearTimeout(leftBehind);
  clearTimeout(deadline);
  clearTimeout(linger);
  clearInterval(lingering);
  const records = readRecords();
  rmSync(recordsPath);
  return fileResult(options.path, records, ending, performance.now() - startedAt, output);
}
