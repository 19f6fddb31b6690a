// Runs the tests, inside the namespaces that `script/test` has made: first those that share one set of them, with a
// database server and a libvirtd, then each of the others in a set of its own. Ends with one line of sums.
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

/** Runs the jobs in order, so many at a time. */
async function inParallel<T>(items: readonly T[], limit: number, run: (item: T) => Promise<void>): Promise<void> {
  const queue = [...items];
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
  // What runs alone waits more than it works: for servers, daemons and guests that it has killed.
  const lanes = { shared: availableParallelism(), alone: availableParallelism() + 1 };
  const runAll = async (kind: TestFile['kind'], env: NodeJS.ProcessEnv, timeouts: { test: number; file: number }) => {
    const wanted = files.filter((file) => file.kind === kind);
    await inParallel(wanted, lanes[kind], async ({ path }) => {
      // A folder for each file: a run of its own must not find what another left.
      const folder = join(namespaceFolder, 'alone', path.replaceAll('/', '-').replace(/\.test\.ts$/, ''));
      const result = await runFile({
        root,
        path,
        prefix: kind === 'alone' ? [join(root, 'script/namespace'), folder] : [],
        env: { ...process.env, ...env },
        testTimeoutMs: timeouts.test,
        fileTimeoutMs: timeouts.file,
      });
      results.push(result);
      console.log(fileLine(result));
      if (result.failures.length > 0) console.log(failureText(result));
    });
  };

  if (files.some((file) => file.kind === 'shared')) {
    const services = await startSharedServices();
    await runAll('shared', services.env, { test: 2 * minute, file: 5 * minute });
    await services.close();
  }
  await runAll('alone', {}, { test: 10 * minute, file: 20 * minute });

  saveDurations(results, durationsMs);
  const failed = results.filter((result) => result.failures.length > 0);
  if (failed.length > 0) console.log(`\nFailures:\n\n${failed.map(failureText).join('\n\n')}\n`);
  console.log(summaryLine(results));
  return failed.length > 0 ? 1 : 0;
}

process.exitCode = await main();
