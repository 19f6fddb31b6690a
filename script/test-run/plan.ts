// Which test files there are, which of them a run wants, and in what order they run. Pure, but for reading the tree.
import { globSync } from 'node:fs';

/**
 * `shared`: runs beside others in one set of namespaces, with a database server and a libvirtd already there.
 * `alone`: has namespaces of its own, and starts in them what it needs.
 */
export type TestKind = 'shared' | 'alone';
export type TestFile = { path: string; kind: TestKind };

/** Every test file of the repository, by path from its root. */
export function findTestFiles(root: string): string[] {
  return globSync(['script/**/*.test.ts', 'packages/*/src/**/*.test.ts', 'images/**/*.test.ts', 'tests/**/*.test.ts'], {
    cwd: root,
    exclude: (path) => path.includes('node_modules'),
  }).sort();
}

/**
 * Chooses and orders: what shares comes first, then what runs alone; in each the longest first, so that the last one to
 * end is a short one. A file never seen counts as long.
 * @param filters paths of files or folders; none chooses everything
 * @param durationsMs how long each file took last time
 */
export function planTests(
  paths: readonly string[],
  filters: readonly string[],
  durationsMs: Readonly<Record<string, number>>,
): TestFile[] {
  const wanted = (path: string) => filters.length === 0 || filters.some((filter) => isWithin(path, filter));
  const files = paths.filter(wanted).map((path): TestFile => ({ path, kind: kindOf(path) }));
  const rank = (file: TestFile) => (file.kind === 'shared' ? 0 : 1);
  const length = (file: TestFile) => durationsMs[file.path] ?? Number.MAX_SAFE_INTEGER;
  return files.sort((a, b) => rank(a) - rank(b) || length(b) - length(a) || a.path.localeCompare(b.path));
}

function kindOf(path: string): TestKind {
  return path.startsWith('tests/') ? 'alone' : 'shared';
}

function isWithin(path: string, filter: string): boolean {
  const clean = filter.replace(/^\.\//, '').replace(/\/$/, '');
  return path === clean || path.startsWith(`${clean}/`);
}
