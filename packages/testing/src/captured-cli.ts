// The command line in this process, with a home folder of its own and everything it prints caught.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough, Writable } from 'node:stream';
import type { CliIo } from '@virga/cli/cli-io';
import { runCli } from '@virga/cli/main';
import type { TerminalInput, TerminalOutput } from '@virga/cli/terminal-io';

export type CliRun = {
  exit: number;
  stdout: string;
  stderr: string;
  /** Whether each key came at once, by each change of it; at a terminal only. */
  rawModes?: boolean[];
};

export type RunOptions = Pick<CliIo, 'interrupt' | 'extraCommands' | 'extraGroups'> & {
  /** What is on standard input; it ends afterwards. Default nothing. */
  input?: string | undefined;
  /** Somebody sits at a terminal of this many columns. Default: pipes. */
  columns?: number | undefined;
  env?: NodeJS.ProcessEnv | undefined;
  /** Given what is written to stdout, for what is no text. */
  onBytes?: ((bytes: Buffer) => void) | undefined;
  /** Called with all of stdout and stderr each time something is printed; may type an answer. */
  onOutput?: ((printed: { stdout: string; stderr: string }, type: (text: string) => void) => void) | undefined;
};

export type CapturedCli = AsyncDisposable & {
  /** Its home folder. */
  home: string;
  run(argv: readonly string[], options?: RunOptions): Promise<CliRun>;
};

/**
 * @param server address that it signs in at, with a made-up API key, unless `env` says otherwise
 * @param nowMs what it takes for now; default the system's clock
 */
export async function captureCli(server: string, env: NodeJS.ProcessEnv = {}, nowMs?: number): Promise<CapturedCli> {
  const home = await mkdtemp(join(tmpdir(), 'virga-cli-'));
  const ownEnv = {
    PATH: process.env.PATH,
    HOME: home,
    LANG: 'C.UTF-8',
    VIRGA_SERVER: server,
    VIRGA_ACCESS_KEY_ID: 'VKTESTTESTTESTTEST22',
    VIRGA_SECRET_ACCESS_KEY: 'secret-of-the-test',
    ...env,
  };
  return {
    home,
    async run(argv, { input, columns, env: more, onOutput, onBytes, ...io } = {}) {
      const printed = { stdout: '', stderr: '' };
      const rawModes: boolean[] = [];
      const stdin: TerminalInput = new PassThrough();
      const type = (text: string) => void (stdin as PassThrough).write(text);
      const sink = (name: 'stdout' | 'stderr'): TerminalOutput => {
        const stream: TerminalOutput = new Writable({
          decodeStrings: true,
          write(chunk: Buffer, _encoding, done) {
            printed[name] += chunk.toString();
            if (name === 'stdout') onBytes?.(chunk);
            onOutput?.({ ...printed }, type);
            done();
          },
        });
        return Object.assign(stream, columns === undefined ? {} : { isTTY: true, columns });
      };
      if (columns === undefined) (stdin as PassThrough).end(input ?? '');
      else {
        const setRawMode = (raw: boolean) => {
          rawModes.push(raw);
          return stdin;
        };
        Object.assign(stdin, { isTTY: true, setRawMode });
        if (input !== undefined) type(input);
      }
      const exit = await runCli(argv, {
        stdin,
        stdout: sink('stdout'),
        stderr: sink('stderr'),
        env: { ...ownEnv, ...more },
        version: '1.2.3',
        ...(nowMs === undefined ? {} : { clock: () => nowMs }),
        ...io,
      });
      return { exit, ...printed, ...(columns === undefined ? {} : { rawModes }) };
    },
    async [Symbol.asyncDispose]() {
      await rm(home, { recursive: true, force: true });
    },
  };
}
