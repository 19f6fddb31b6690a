import assert from 'node:assert/strict';
import { test } from 'node:test';
import { until } from '@virga/testing/until';
import { KeyedQueue } from './keyed-queue.ts';

/** A queue whose work ends when the test says so. */
function heldQueue(concurrency: number) {
  const started: string[] = [];
  const ends: (() => void)[] = [];
  let running = 0;
  let most = 0;
  const queue = new KeyedQueue<string>({
    concurrency,
    work: async (key) => {
      started.push(key);
      most = Math.max(most, ++running);
      await new Promise<void>((resolve) => ends.push(resolve));
      running -= 1;
    },
    onError: () => {},
  });
  const endOne = async () => {
    const before = started.length;
    ends.shift()?.();
    await new Promise((resolve) => setImmediate(resolve));
    return started.length - before;
  };
  return { queue, started, endOne, most: () => most };
}

test('no more is worked on at once than there is room for, in the order of the wakes', async () => {
  const { queue, started, endOne, most } = heldQueue(2);
  for (const key of ['a', 'b', 'c', 'd']) queue.wake(key);
  assert.deepEqual(started, ['a', 'b']);
  for (let index = 0; index < 4; index++) await endOne();
  assert.deepEqual(started, ['a', 'b', 'c', 'd']);
  assert.equal(most(), 2);
  await queue.close();
});

test('a key that is woken while it is worked on is worked on once more, however often it was woken', async () => {
  const { queue, started, endOne } = heldQueue(4);
  queue.wake('a');
  for (let index = 0; index < 5; index++) queue.wake('a');
  assert.deepEqual(started, ['a']);
  await endOne();
  assert.deepEqual(started, ['a', 'a']);
  await endOne();
  assert.deepEqual(started, ['a', 'a']);
  await queue.close();
});

test('what fails is told, and tried again later', async () => {
  const errors: unknown[] = [];
  let tries = 0;
  const queue = new KeyedQueue<string>({
    concurrency: 1,
    work: async () => {
      tries += 1;
      if (tries === 1) throw new Error('not yet');
    },
    onError: (key, error) => errors.push([key, (error as Error).message]),
  });
  queue.wake('a');
  await until('it was tried again', () => tries === 2);
  assert.deepEqual(errors, [['a', 'not yet']]);
  await queue.close();
});

test('of two times to wake a key the earlier one counts, and a wake makes the timer needless', async () => {
  const started: number[] = [];
  const queue = new KeyedQueue<string>({
    concurrency: 1,
    work: async () => void started.push(performance.now()),
    onError: () => {},
  });
  queue.wakeAfter('a', 60_000);
  queue.wakeAfter('a', 1);
  queue.wakeAfter('a', 60_000);
  await until('it is worked on', () => started.length === 1);
  queue.wakeAfter('a', 60_000);
  queue.wake('a');
  await until('it is worked on again', () => started.length === 2);
  await queue.close();
});

test('closing waits for what is under way, and nothing begins after it', async () => {
  const { queue, started, endOne } = heldQueue(1);
  queue.wake('a');
  queue.wake('b');
  let isClosed = false;
  const closing = queue.close().then(() => {
    isClosed = true;
  });
  queue.wake('c');
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(isClosed, false);
  await endOne();
  await closing;
  assert.deepEqual(started, ['a']);
});
