import assert from 'node:assert/strict';
import { test } from 'node:test';
import { headerBytes, qcow2Magic, readQcow2Header } from './qcow2-header.ts';

function header(change: (bytes: Buffer) => void = () => undefined): Buffer {
  const bytes = Buffer.alloc(headerBytes);
  qcow2Magic.copy(bytes);
  bytes.writeUInt32BE(3, 4);
  bytes.writeUInt32BE(16, 20);
  bytes.writeBigUInt64BE(1024n ** 3n, 24);
  change(bytes);
  return bytes;
}

test('a plain header tells the size of the disk', () => {
  assert.deepEqual(readQcow2Header(header()), { virtualSizeBytes: 1024n ** 3n });
});

const refusals: Record<string, [RegExp, Buffer]> = {
  'no magic': [/not a qcow2 image/, header((bytes) => bytes.write('XXXX'))],
  'nothing at all': [/not a qcow2 image/, Buffer.alloc(0)],
  'a short header': [/ends within/, header().subarray(0, 71)],
  'an unknown version': [/version 4/, header((bytes) => bytes.writeUInt32BE(4, 4))],
  'a backing file': [/backing file/, header((bytes) => bytes.writeBigUInt64BE(200n, 8))],
  'huge clusters': [/impossible size/, header((bytes) => bytes.writeUInt32BE(63, 20))],
  encryption: [/encrypted/, header((bytes) => bytes.writeUInt32BE(2, 32))],
  'a data file': [/another file/, header((bytes) => bytes.writeBigUInt64BE(4n, 72))],
  'the mark of corruption': [/corrupt/, header((bytes) => bytes.writeBigUInt64BE(2n, 72))],
};

for (const [name, [sentence, bytes]] of Object.entries(refusals)) {
  test(`a header with ${name} is refused`, () => {
    const read = readQcow2Header(bytes);
    assert.match('refusal' in read ? read.refusal : 'accepted', sentence);
  });
}

test('an old header has no feature bits to read', () => {
  const read = readQcow2Header(
    header((bytes) => {
      bytes.writeUInt32BE(2, 4);
      bytes.writeBigUInt64BE(4n, 72);
    }),
  );
  assert.ok('virtualSizeBytes' in read);
});
