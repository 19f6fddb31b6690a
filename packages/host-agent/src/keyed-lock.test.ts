import assert from 'node:assert/strict';
import { test } from 'node:test';
import { KeyedLock } from './keyed-lock.ts';

test('work of one key goes one after the other in the order of asking, also past a failure', async () => {
  const lock = new KeyedLock();
  const seen: string[] = [];
  const gate = Promise.withResolvers<void>();
  const work = [
    lock.run('a', async () => {
      seen.push('first begins');
      await gate.promise;
      seen.push('first ends');
      throw new Error('first failed');
    }),
    lock.run('a', async () => void seen.push('second')),
    lock.run('a', async () => void seen.push('third')),
    lock.run('b', async () => void seen.push('other key')),
  ];
  const settled = Promise.allSettled(work);
  await work[3];
  assert.deepEqual(seen, ['first begins', 'other key']);
  gate.resolve();
  const results = (await settled).map(({ status }) => status);
  assert.deepEqual(seen.slice(2), ['first ends', 'second', 'third']);
  assert.deepEqual(results, ['rejected', 'fulfilled', 'fulfilled', 'fulfilled']);
});
