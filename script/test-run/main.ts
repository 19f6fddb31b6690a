// Runs the tests, inside the namespaces that `script/test` has made: those that share one set of them, with a database
// server and a libvirtd, and each of the others in a set of its own. Ends with one line of sums.
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { dirname, join, relative, resolve } from 'node:path';
import { findTestFiles, planTests, type TestFile } from './plan.ts';
import { type FileResult, failureText, fileLine, summaryLine } from './record.ts';
import { runFile } from './run-file.ts';
import { startSharedServices } from './shared-services.ts';

const root = join(import.meta.dirname, '../..');
const cacheFolder = required('VIRGA_TEST_CACHE');
const namespaceFolder = required('VIRGA_TEST_NAMESPACE');
const durationsPath = join(cacheFolder, 'test-durations.json');
const minute = 60_000;

function required(name: string): string {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set: run the tests with script/test.`);
  return value;
}

type Timeouts = { test: number; file: number };

/** Takes one job after the other from the queue, which others may take from too, so many at a time. */
async function work<T>(queue: T[], limit: number, run: (item: T) => Promise<void>): Promise<void> {
  const worker = async () => {
    for (let item = queue.shift(); item !== undefined; item = queue.shift()) await run(item);
  };
  await Promise.all(Array.from({ length: limit }, worker));
}

function readDurations(): Record<string, number> {
  try {
    return JSON.parse(readFileSync(durationsPath, 'utf8'));
  } catch {
    return {};
  }
}

function saveDurations(results: readonly FileResult[], before: Record<string, number>): void {
  const durations = { ...before };
  for (const result of results) durations[result.path] = Math.round(result.durationMs);
  mkdirSync(dirname(durationsPath), { recursive: true });
  const temporary = `${durationsPath}.${process.pid}`;
  writeFileSync(temporary, JSON.stringify(durations, null, 1));
  renameSync(temporary, durationsPath);
}

async function main(): Promise<number> {
  const filters = process.argv.slice(2).map((filter) => relative(root, resolve(root, filter)));
  const durationsMs = readDurations();
  const files = planTests(findTestFiles(root), filters, durationsMs);
  if (files.length === 0) {
    console.error(`test: no test file is in ${filters.join(', ')}. Name a file or folder, such as packages/libvirt.`);
    return 2;
  }

  const results: FileResult[] = [];
  const run = async (path: string, prefix: string[], env: NodeJS.ProcessEnv, timeouts: Timeouts) => {
    const { test: testTimeoutMs, file: fileTimeoutMs } = timeouts;
    const result = await runFile({ root, path, prefix, env: { ...process.env, ...env }, testTimeoutMs, fileTimeoutMs });
    results.push(result);
    console.log(fileLine(result));
    if (result.failures.length > 0) console.log(failureText(result));
  };
  const runShared = async (queue: string[]) => {
    if (queue.length === 0) return;
    const services = await startSharedServices();
    const timeouts = { test: 2 * minute, file: 10 * minute };
    await work(queue, availableParallelism(), (path) => run(path, [], services.env, timeouts));
    await services.close();
  };
  const runAlone = (queue: string[], limit: number) =>
    work(queue, limit, (path) => {
      // A folder for each file: a run of its own must not find what another left.
      const folder = join(namespaceFolder, 'alone', path.replaceAll('/', '-').replace(/\.test\.ts$/, ''));
      return run(path, [join(root, 'script/namespace'), folder], {}, { test: 10 * minute, file: 20 * minute });
    });

  const pathsOf = (kind: TestFile['kind']) => files.filter((file) => file.kind === kind).map(({ path }) => path);
  // What runs alone waits more than it works, for servers, daemons and guests that it has killed: one of them runs beside
  // what is shared, and one more than there are processors after that.
  const alone = pathsOf('alone');
  await Promise.all([
    runAlone(alone, 1),
    runShared(pathsOf('shared')).then(() => runAlone(alone, availableParallelism())),
  ]);

  saveDurations(results, durationsMs);
  const failed = results.filter((result) => result.failures.length > 0);
  if (failed.length > 0) console.log(`\nFailures:\n\n${failed.map(failureText).join('\n\n')}\n`);
  console.log(summaryLine(results));
  return failed.length > 0 ? 1 : 0;
}

process.exitCode = await main();
