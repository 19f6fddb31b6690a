import assert from 'node:assert/strict';
import { test } from 'node:test';
import { chooseFreeNetwork } from './free-network.ts';

test('a machine that knows only its own network gets the first candidate', () => {
  assert.equal(chooseFreeNetwork(['192.0.2.0/24', '192.0.2.2', '127.0.0.0/8']), '10.77.0.0/24');
});

test('a network that a route covers is passed over, whether the route is larger or smaller', () => {
  assert.equal(chooseFreeNetwork(['10.76.0.0/15', '10.78.0.128/25']), '10.79.0.0/24');
  assert.equal(chooseFreeNetwork(['10.77.0.5']), '10.78.0.0/24');
});

test('a machine that routes all of 10 gets one from another private range', () => {
  assert.equal(chooseFreeNetwork(['10.0.0.0/8']), '172.31.77.0/24');
});

test('where nothing is free there is no answer', () => {
  assert.equal(chooseFreeNetwork(['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16']), undefined);
});
