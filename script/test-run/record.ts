// What a test run knows about its tests, and the sums and texts that follow from it. Pure.

/** One line of the reporter. `end`: every test of the file has been run. */
export type TestRecord =
  | { kind: 'end' }
  /** What a test says it has measured or counted, whether it passes or not. */
  | { kind: 'note'; text: string }
  | { kind: 'pass' | 'skip' | 'fail'; name: string; place: string; durationMs: number; error?: string };

export type Failure = { name: string; place: string; error: string };

/** How a test file ended. */
export type FileResult = {
  /** Path from the root of the repository. */
  path: string;
  passed: number;
  skipped: number;
  failures: Failure[];
  notes: string[];
  durationMs: number;
  /** What the file printed, for a person who looks into a failure. */
  output: string;
};

/** How the process of a test file ended. */
export type Ending = { code: number | null; signal: string | null; killedBecause?: string };

/**
 * Sums up a test file. A file that ends in any other way than with code 0, or without a test, or before its last test,
 * has failed, whatever its tests say.
 */
export function fileResult(
  path: string,
  records: readonly TestRecord[],
  ending: Ending,
  durationMs: number,
  output: string,
): FileResult {
  const failures: Failure[] = [];
  const notes: string[] = [];
  let passed = 0;
  let skipped = 0;
  for (const record of records) {
    if (record.kind === 'note') notes.push(record.text);
    if (record.kind === 'pass') passed += 1;
    if (record.kind === 'skip') skipped += 1;
    if (record.kind === 'fail') failures.push({ name: record.name, place: record.place, error: record.error ?? '' });
  }
  const fault = faultOfFile(records, ending, failures.length);
  if (fault) failures.push({ name: path, place: path, error: fault });
  return { path, passed, skipped, failures, notes, durationMs, output };
}

function faultOfFile(records: readonly TestRecord[], ending: Ending, failed: number): string | undefined {
  if (ending.killedBecause) return ending.killedBecause;
  if (ending.signal) return `The file was ended by ${ending.signal}.`;
  if (!records.some((record) => record.kind === 'end')) {
    return ending.code === 0
      ? 'The file ended before its tests did, or has none.'
      : `The file ended with code ${ending.code} before its tests did; see what it printed.`;
  }
  if (ending.code !== 0 && failed === 0) return `The file ended with code ${ending.code} although no test failed.`;
  return undefined;
}

/** The line a run ends with, which continuous integration counts. */
export function summaryLine(results: readonly FileResult[]): string {
  const skipped = sum(results, (result) => result.skipped);
  const failed = sum(results, (result) => result.failures.length);
  return `${sum(results, (result) => result.passed)} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`;
}

/** One line about a file, as it ends, and a line for each note of its tests. */
export function fileLine(result: FileResult): string {
  const tests = result.passed + result.skipped + result.failures.length;
  const seconds = `${(result.durationMs / 1000).toFixed(1)} s`;
  const mark = result.failures.length > 0 ? '✘' : '✔';
  const failed = result.failures.length > 0 ? `, ${result.failures.length} failed` : '';
  return [
    `${mark} ${result.path} (${tests} tests${failed}, ${seconds})`,
    ...result.notes.map((note) => `    ${note}`),
  ].join('\n');
}

/** Everything about the failures of a file, with what it printed. */
export function failureText(result: FileResult): string {
  const failures = result.failures.map(
    ({ name, place, error }) => `✘ ${name}\n  ${place}\n${error.replace(/^/gm, '    ')}`,
  );
  const output = result.output.trim();
  return [...failures, ...(output ? [`  what ${result.path} printed:\n${output.replace(/^/gm, '    ')}`] : [])].join(
    '\n',
  );
}

const sum = <T>(items: readonly T[], of: (item: T) => number) => items.reduce((total, item) => total + of(item), 0);
