// A node:test reporter that writes one JSON record a line, for `run-file.ts` to read. It prints nothing by itself.
import type { TestEvent } from 'node:test/reporters';
import type { TestRecord } from './record.ts';

type EventError = Error & { cause?: unknown; failureType?: string };
type EventData = {
  name: string;
  file?: string;
  line?: number;
  skip?: boolean | string;
  todo?: boolean | string;
  details: { duration_ms: number; type?: string; error?: EventError };
};

/** Turns events of node:test into lines of records. A suite is no test, and neither is a test that only holds others. */
export default async function* reporter(source: AsyncIterable<TestEvent>): AsyncGenerator<string> {
  for await (const event of source) {
    const record = recordOf(event);
    if (record) yield `${JSON.stringify(record)}\n`;
  }
}

function recordOf(event: TestEvent): TestRecord | undefined {
  if (event.type === 'test:summary') return { kind: 'end' };
  if (event.type === 'test:diagnostic') {
    const { message } = event.data;
    return sums.test(message) ? undefined : { kind: 'note', text: message };
  }
  if (event.type !== 'test:pass' && event.type !== 'test:fail') return undefined;
  const data = event.data as unknown as EventData;
  const { error, type } = data.details;
  if (type === 'suite' || error?.failureType === 'subtestsFailed') return undefined;
  const kind = event.type === 'test:fail' && !isMarked(data.todo) ? 'fail' : 'pass';
  return {
    kind: kind === 'pass' && (isMarked(data.skip) || isMarked(data.todo)) ? 'skip' : kind,
    name: data.name,
    place: data.file ? `${data.file}:${data.line ?? 1}` : '',
    durationMs: data.details.duration_ms,
    ...(kind === 'fail' ? { error: describe(error) } : {}),
  };
}

/** What node:test itself reports at the end, in the same kind of event. */
const sums = /^(tests|suites|pass|fail|cancelled|skipped|todo|duration_ms) [\d.]+$/;

const isMarked = (mark: boolean | string | undefined) => mark !== undefined && mark !== false;

/** The error a person wants to read: what the test threw, with its own causes, and not node:test's wrapping of it. */
function describe(error: EventError | undefined): string {
  const lines: string[] = [];
  const seen = new Set<unknown>();
  for (let current: unknown = error?.cause ?? error; current && !seen.has(current); ) {
    seen.add(current);
    const text = current instanceof Error ? (current.stack ?? current.message) : String(current);
    lines.push(lines.length === 0 ? text : `caused by ${text}`);
    current = current instanceof Error ? current.cause : undefined;
  }
  return lines
    .join('\n')
    .split('\n')
    .filter((line) => !/^\s+at .*\(?node:internal/.test(line))
    .join('\n');
}
