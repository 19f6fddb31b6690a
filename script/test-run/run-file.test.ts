import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { runFile } from './run-file.ts';

const root = mkdtempSync(join(tmpdir(), 'run-file-'));
after(() => rmSync(root, { recursive: true }));

async function run(source: string, fileTimeoutMs = 30_000) {
  const path = 'a.test.mjs';
  writeFileSync(join(root, path), `import { test, describe } from 'node:test';\n${source}`);
  return runFile({ root, path, prefix: [], env: process.env, testTimeoutMs: 20_000, fileTimeoutMs });
}

test('tests are counted, and suites and tests that only hold others are not', async () => {
  const result = await run(`
    describe('suite', () => { test('in it', () => {}); });
    test('holds', async (t) => { await t.test('inner', () => {}); await t.test('bad', () => { throw new Error('no'); }); });
    test.skip('later', () => {});
  `);
  assert.deepEqual(
    { passed: result.passed, skipped: result.skipped, failed: result.failures.map((failure) => failure.name) },
    // A test that holds others and fails only because of them counts once, by its inner one.
    { passed: 2, skipped: 1, failed: ['bad'] },
  );
});

test('what a passing test says it has counted is kept, and the sums of node:test are not', async () => {
  const result = await run(`test('counts', (t) => t.diagnostic('56 kills, 0 lost'));`);
  assert.deepEqual(result.notes, ['56 kills, 0 lost']);
});

test('a failure says what was thrown, with its causes', async () => {
  const result = await run(`test('t', () => { throw new Error('outer', { cause: new Error('inner') }); });`);
  assert.match(result.failures[0]?.error ?? '', /outer[\s\S]*caused by Error: inner/);
});

test('a file that cannot be loaded fails, with what it printed', async () => {
  const result = await run('this is no program');
  assert.equal(result.failures.length, 1);
  assert.match(result.output, /SyntaxError/);
});

test('a file that leaves its process early fails', async () => {
  const result = await run(`test('first', () => {}); test('leaves', () => process.exit(0)); test('never', () => {});`);
  assert.match(result.failures.at(-1)?.error ?? '', /before its tests did/);
});

test('a file that never ends is ended', async () => {
  const result = await run(`test('hangs', () => new Promise(() => setInterval(() => {}, 1000)));`, 1500);
  assert.match(result.failures.at(-1)?.error ?? '', /ended after 1.5 s/);
});
