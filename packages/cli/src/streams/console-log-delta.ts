// What is new in a console log. The server sends the end of the log each time; two ends are joined where they overlap.

/**
 * What `current` has after what `previous` had. Empty when nothing is new; all of `current` when more was printed in between
 * than the server sends at once.
 */
export function newText(previous: string, current: string): string {
  if (current.startsWith(previous)) return current.slice(previous.length);
  for (let start = Math.max(1, previous.length - current.length); start < previous.length; start += 1) {
    if (current.startsWith(previous.slice(start))) return current.slice(previous.length - start);
  }
  return current;
}
