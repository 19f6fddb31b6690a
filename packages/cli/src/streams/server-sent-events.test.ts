import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createEventStreamParser } from './server-sent-events.ts';

const stream = ': hello\nretry: 3000\n\nid: 7\ndata: {"a":\ndata: 1}\n\nid: 8\r\ndata:b\r\n\r\nevent: x\rdata: c\r\r';
const expected = [
  { data: '{"a":\n1}', lastEventId: '7' },
  { data: 'b', lastEventId: '8' },
];

test('messages come out whole however the stream is cut', () => {
  for (let size = 1; size <= stream.length; size += 1) {
    const parser = createEventStreamParser();
    const messages = [];
    for (let at = 0; at < stream.length; at += size) messages.push(...parser.push(stream.slice(at, at + size)));
    assert.deepEqual(messages.slice(0, 2), expected, `in pieces of ${size}`);
    assert.deepEqual([parser.lastEventId, parser.retryMs], ['8', 3000]);
  }
});

test('an id without data moves the place to go on from', () => {
  const parser = createEventStreamParser('1');
  assert.deepEqual(parser.push('id: 9\n\n'), []);
  assert.equal(parser.lastEventId, '9');
});

test('a stream without an end of a message is given up', () => {
  const parser = createEventStreamParser();
  assert.throws(() => parser.push(`data: ${'x'.repeat(5 * 1024 * 1024)}`), /larger than 4 MiB/);
});
