// How long to wait before something that failed is tried again.

const firstMs = 1_000;
const longestMs = 300_000;

/** @param failures in a row, the latest included: 1 s after the first, doubling, at most 5 minutes */
export function backOffMs(failures: number): number {
  return Math.min(longestMs, firstMs * 2 ** Math.min(20, Math.max(0, failures - 1)));
}

/** How long it must have gone well for earlier failures to be forgotten. */
export const forgottenAfterMs = 600_000;
