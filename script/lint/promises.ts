// SPECIFICATION.md: every promise names the tests, or the benchmark, that keep it. This checks that they exist.
import type { Fault, SourceTree } from './source-tree.ts';

const page = 'SPECIFICATION.md';
const keeper = /`((?:packages|tests|bench|script|images)\/[^`\s]+?\.(?:test\.ts|ts|sh))`/g;

export function findBrokenPromises(tree: SourceTree): Fault[] {
  const text = tree.read(page);
  if (text === undefined) return [];
  const files = new Set(tree.files);
  return text.split('\n').flatMap((row, index) => {
    const line = index + 1;
    const named = [...row.matchAll(keeper)].map((match) => match[1] ?? '');
    const missing = named.filter((path) => !files.has(path));
    const faults: Fault[] = missing.map((path) => ({
      path: page,
      line,
      message: `${path} is named as a test and is not there`,
    }));
    // A row of a table of promises: `| promise | kept by |`, but for its head.
    const isPromise = row.startsWith('|') && !/^\|[\s|:-]+$/.test(row) && !isHead(text, index);
    return isPromise && named.length === 0
      ? [...faults, { path: page, line, message: 'this promise names no test that keeps it' }]
      : faults;
  });
}

function isHead(text: string, index: number): boolean {
  return /^\|[\s|:-]+$/.test(text.split('\n')[index + 1] ?? '');
}
