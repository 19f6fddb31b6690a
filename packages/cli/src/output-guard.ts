// A reader that went away, as head does, is no error: what is still written is dropped, and endless commands end.
import type { TerminalIo } from './terminal-io.ts';

export type OutputGuard = {
  /** Aborts when nobody reads stdout any more. */
  closed: AbortSignal;
  dispose(): void;
};

export function guardOutput({ stdout, stderr }: TerminalIo): OutputGuard {
  const controller = new AbortController();
  const onOut = (error: NodeJS.ErrnoException) => {
    controller.abort();
    rethrowUnlessClosed(error);
  };
  stdout.on('error', onOut);
  stderr.on('error', rethrowUnlessClosed);
  return {
    closed: controller.signal,
    // The listeners stay: what is still on its way may fail after the command has ended.
    dispose() {
      if (stdout === process.stdout) return;
      stdout.off('error', onOut);
      stderr.off('error', rethrowUnlessClosed);
    },
  };
}

function rethrowUnlessClosed(error: NodeJS.ErrnoException): void {
  if (error.code !== 'EPIPE' && error.code !== 'ERR_STREAM_DESTROYED') throw error;
}
