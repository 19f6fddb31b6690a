// What the command line needs of the world around it. `process` satisfies the streams, so the executable passes
// `{ stdin: process.stdin, stdout: process.stdout, stderr: process.stderr, env: process.env }`; tests pass their own.
import type { Readable, Writable } from 'node:stream';
import type { CommandDefinition } from './command.ts';

export type TerminalInput = Readable & {
  isTTY?: boolean | undefined;
  setRawMode?: ((mode: boolean) => unknown) | undefined;
};
export type TerminalOutput = Writable & { isTTY?: boolean | undefined; columns?: number | undefined };

export type CliIo = {
  stdin: TerminalInput;
  stdout: TerminalOutput;
  stderr: TerminalOutput;
  env: NodeJS.ProcessEnv;
  /** Commands that the executable adds, such as those of the server. */
  extraCommands?: readonly CommandDefinition[] | undefined;
  /** Summaries of the groups that extra commands make, by group: `{ host: 'Look after this host' }`. */
  extraGroups?: Readonly<Record<string, string>> | undefined;
  /** Default the version of this package. */
  version?: string | undefined;
  /** Aborts when the user interrupts. Default: the first SIGINT or SIGTERM, caught only while a command waits. */
  interrupt?: AbortSignal | undefined;
  /** Now, in milliseconds since 1970. Default the system's clock. */
  clock?: (() => number) | undefined;
};
