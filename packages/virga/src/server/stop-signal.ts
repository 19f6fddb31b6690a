// How a server is asked to stop: SIGTERM or SIGINT. One that does not manage to stop in order is ended; what it leaves
// running the next one takes over.

const patienceMs = 60_000;

/** Aborts at the first signal. A second one, or a stop that takes too long, ends the process at once. */
export function stopSignal(): AbortSignal {
  const controller = new AbortController();
  const stop = () => {
    if (controller.signal.aborted) process.exit(1);
    controller.abort();
    setTimeout(() => {
      process.stderr.write('The server did not manage to stop in time and was ended; nothing is lost by that.\n');
      process.exit(1);
    }, patienceMs).unref();
  };
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
  return controller.signal;
}
