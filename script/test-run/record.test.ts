import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fileLine, fileResult, summaryLine, type TestRecord } from './record.ts';

const passed: TestRecord = { kind: 'pass', name: 'p', place: 'f:1', durationMs: 1 };
const failed: TestRecord = { kind: 'fail', name: 'f', place: 'f:2', durationMs: 1, error: 'why' };
const skipped: TestRecord = { kind: 'skip', name: 's', place: 'f:3', durationMs: 1 };
const end: TestRecord = { kind: 'end' };
const result = (records: TestRecord[], code: number | null = 0, signal: string | null = null) =>
  fileResult('f', records, { code, signal }, 5, '');

test('the last line counts the tests of all files', () => {
  assert.equal(summaryLine([result([passed, passed, end]), result([passed, failed, end], 1)]), '3 passed, 1 failed');
});

test('skipped tests are told apart, and none are not mentioned', () => {
  assert.equal(summaryLine([result([passed, skipped, end])]), '1 passed, 0 failed, 1 skipped');
});

test('a file without a test has failed', () => {
  assert.match(result([]).failures[0]?.error ?? '', /or has none/);
});

test('a file that ends before its tests has failed, although those before passed', () => {
  const crashed = result([passed], 3);
  assert.equal(crashed.passed, 1);
  assert.match(crashed.failures[0]?.error ?? '', /code 3 before its tests/);
});

test('a file that is killed has failed', () => {
  assert.match(result([passed, end], null, 'SIGSEGV').failures[0]?.error ?? '', /SIGSEGV/);
});

test('a file that ends with an error after its last test has failed', () => {
  assert.equal(result([passed, end], 1).failures.length, 1);
});

test('a failed test is counted once, although the file ends with an error because of it', () => {
  assert.equal(result([failed, end], 1).failures.length, 1);
});

test('the notes of a file stand below its line', () => {
  assert.equal(
    fileLine(result([{ kind: 'note', text: '56 kills' }, passed, end])),
    '✔ f (1 tests, 0.0 s)\n    56 kills',
  );
});
