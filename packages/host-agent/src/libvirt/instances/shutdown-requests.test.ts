import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { InstanceId } from '@virga/contract/ids';
import { ShutdownRequests } from './shutdown-requests.ts';

const id = 'i-0123456789abcdef0' as InstanceId;

/** When the button is pressed by who looks every half second. */
function pressesUntil(requests: ShutdownRequests, endMs: number): number[] {
  const presses: number[] = [];
  for (let nowMs = 0; nowMs <= endMs; nowMs += 500) {
    if (!requests.isDue(id, nowMs)) continue;
    presses.push(nowMs);
    requests.remember(id, nowMs, endMs);
  }
  return presses;
}

test('a guest that does not go down is asked again soon, and less often the longer it takes', () => {
  assert.deepEqual(pressesUntil(new ShutdownRequests(), 20_000), [0, 1_000, 3_000, 7_000, 12_000, 17_000]);
});

test('one that has been off is asked as if for the first time', () => {
  const requests = new ShutdownRequests();
  pressesUntil(requests, 20_000);
  requests.forget(id);
  assert.equal(requests.isPending(id), false);
  assert.deepEqual(pressesUntil(requests, 1_000), [0, 1_000]);
});
