// How Node is run for the server, which starts in a moment and then idles for months: what it took to start is given back.
// Owns nothing else of its command line. `--optimize-for-size` would take 30 MiB less, but three quarters more processor time
// for a page of a list.

/** Node would let short-lived objects take 64 MiB more before it looks for what can go, and idle with them. */
export const serverNodeOptions = ['--max-semi-space-size=4'];

/** Of the C library: each thread would keep what compiling and collecting took once, in an arena of its own. */
export const serverEnvironment = { MALLOC_ARENA_MAX: '1', MALLOC_TRIM_THRESHOLD_: '131072' };
