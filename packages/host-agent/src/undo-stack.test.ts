import assert from 'node:assert/strict';
import { test } from 'node:test';
import pino from 'pino';
import { UndoStack } from './undo-stack.ts';

const silent = pino({ level: 'silent' });

test('the last made goes first, and only once', async () => {
  const undone: string[] = [];
  const stack = new UndoStack();
  for (const what of ['folder', 'disk', 'domain']) stack.add(what, async () => undone.push(what));
  await stack.unwind(silent);
  await stack.unwind(silent);
  assert.deepEqual(undone, ['domain', 'disk', 'folder']);
});

test('nothing goes beneath what could not be taken back, and that is told', async () => {
  const undone: string[] = [];
  const lines: string[] = [];
  const stack = new UndoStack();
  stack.add('folder', async () => undone.push('folder'));
  stack.add('disk', () => Promise.reject(new Error('busy')));
  stack.add('domain', async () => undone.push('domain'));
  await stack.unwind(pino({}, { write: (line: string) => void lines.push(line) }));
  assert.deepEqual(undone, ['domain']);
  assert.match(lines.join(), /"step":"disk"/);
});
