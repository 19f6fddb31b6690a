import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ProtocolError } from '../errors.ts';
import { FrameSplitter } from './frame-splitter.ts';
import { maxFrameBytes } from './message.ts';

function frameOf(fill: number, payloadBytes: number): Buffer {
  const bytes = Buffer.alloc(28 + payloadBytes, fill);
  bytes.writeUInt32BE(bytes.length, 0);
  return bytes;
}

const frames = [frameOf(1, 0), frameOf(2, 4), frameOf(3, 13), frameOf(4, 0)];
const whole = Buffer.concat(frames);
const bodies = frames.map((frame) => frame.subarray(4).toString('hex'));

function collect(): { splitter: FrameSplitter; seen: string[] } {
  const seen: string[] = [];
  const splitter = new FrameSplitter((bytes, start, end) => seen.push(bytes.subarray(start, end).toString('hex')));
  return { splitter, seen };
}

test('frames cut in two at every byte come out whole', () => {
  for (let cut = 0; cut <= whole.length; cut++) {
    const { splitter, seen } = collect();
    splitter.push(whole.subarray(0, cut));
    splitter.push(whole.subarray(cut));
    assert.deepEqual(seen, bodies, `cut at ${cut}`);
    assert.equal(splitter.pendingBytes, 0);
  }
});

test('frames that come in pieces of any size come out whole', () => {
  for (let size = 1; size < 40; size++) {
    const { splitter, seen } = collect();
    for (let at = 0; at < whole.length; at += size) splitter.push(whole.subarray(at, at + size));
    assert.deepEqual(seen, bodies, `pieces of ${size}`);
  }
});

test('a length that no libvirt sends is refused at once', () => {
  for (const length of [0, 4, 27, maxFrameBytes + 1, 0xffff_ffff]) {
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32BE(length, 0);
    assert.throws(() => collect().splitter.push(bytes), ProtocolError, `${length}`);
    const { splitter } = collect();
    splitter.push(bytes.subarray(0, 2));
    assert.throws(() => splitter.push(bytes.subarray(2)), ProtocolError, `${length} in two`);
  }
});

test('an announced length takes no memory before its bytes have come', () => {
  const { splitter } = collect();
  const head = Buffer.alloc(4);
  head.writeUInt32BE(maxFrameBytes, 0);
  const before = process.memoryUsage().arrayBuffers;
  splitter.push(head);
  splitter.push(Buffer.alloc(100));
  assert.equal(splitter.pendingBytes, 104);
  assert.ok(process.memoryUsage().arrayBuffers - before < 2 ** 20);
});

test('the largest frame passes', () => {
  const { splitter, seen } = collect();
  let length = 0;
  const large = new FrameSplitter((_, start, end) => {
    length = end - start;
  });
  const bytes = frameOf(5, maxFrameBytes - 28);
  for (let at = 0; at < bytes.length; at += 2 ** 20) large.push(bytes.subarray(at, at + 2 ** 20));
  assert.equal(length, maxFrameBytes - 4);
  assert.deepEqual(seen, []);
  assert.equal(splitter.pendingBytes, 0);
});
