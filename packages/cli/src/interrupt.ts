// Ctrl-C while a command waits: the wait ends, what was asked of the cloud goes on.
import type { TerminalIo } from './terminal-io.ts';

/** As a shell reports a process that SIGINT ended. */
export const interruptedExit = 130;

export type Interrupt = { signal: AbortSignal; dispose(): void };

/** Listens for SIGINT and SIGTERM until disposed. A second one ends the process, as by default. */
export function createInterrupt(io: TerminalIo): Interrupt {
  if (io.interrupt) return { signal: io.interrupt, dispose() {} };
  const controller = new AbortController();
  const abort = () => controller.abort();
  process.once('SIGINT', abort);
  process.once('SIGTERM', abort);
  return {
    signal: controller.signal,
    dispose() {
      process.off('SIGINT', abort);
      process.off('SIGTERM', abort);
    },
  };
}

/** Thrown by a command that was interrupted; `message` says what goes on without it. */
export class Interrupted extends Error {
  override readonly name = 'Interrupted';
}

/** True when the user ended what was going on: only an interrupt aborts the requests of a command. */
export function isInterruption(thrown: unknown): thrown is Error {
  return thrown instanceof Error && (thrown.name === 'AbortError' || thrown instanceof Interrupted);
}
