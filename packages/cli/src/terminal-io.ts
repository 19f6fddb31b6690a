// What a command needs of the world around it: streams, environment, clock and the user's interrupt.
import type { Readable, Writable } from 'node:stream';

export type TerminalInput = Readable & {
  isTTY?: boolean | undefined;
  setRawMode?: ((mode: boolean) => unknown) | undefined;
};
export type TerminalOutput = Writable & { isTTY?: boolean | undefined; columns?: number | undefined };

export type TerminalIo = {
  stdin: TerminalInput;
  stdout: TerminalOutput;
  stderr: TerminalOutput;
  env: NodeJS.ProcessEnv;
  /** Aborts when the user interrupts. Default: the first SIGINT or SIGTERM, caught only while a command waits. */
  interrupt?: AbortSignal | undefined;
  /** Now, in milliseconds since 1970. Default the system's clock. */
  clock?: (() => number) | undefined;
};
