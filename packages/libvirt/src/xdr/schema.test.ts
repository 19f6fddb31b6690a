import assert from 'node:assert/strict';
import { test } from 'node:test';
import { InvalidValue, ProtocolError } from '../errors.ts';
import { typedParameters } from '../protocol/typed-parameters.ts';
import { XdrReader } from './reader.ts';
import * as xdr from './schema.ts';
import { XdrWriter } from './writer.ts';

function encode<T>(type: xdr.Type<T>, value: T): Buffer {
  const writer = new XdrWriter();
  type.encode(writer, value);
  return writer.take();
}

function roundTrip<T>(type: xdr.Type<T>, value: T): T {
  const bytes = encode(type, value);
  assert.equal(bytes.length % 4, 0);
  assert.ok(bytes.length >= type.minBytes);
  const reader = new XdrReader(bytes);
  const decoded = type.decode(reader);
  reader.expectEnd();
  return decoded;
}

test('every type comes back as it went, at its limits too', () => {
  for (const value of [0, 1, -1, 2 ** 31 - 1, -(2 ** 31)]) assert.equal(roundTrip(xdr.int, value), value);
  for (const value of [0, 1, 2 ** 32 - 1]) assert.equal(roundTrip(xdr.uint, value), value);
  for (const value of [0n, -1n, 2n ** 63n - 1n, -(2n ** 63n)]) assert.equal(roundTrip(xdr.hyper, value), value);
  for (const value of [0n, 2n ** 64n - 1n]) assert.equal(roundTrip(xdr.unsignedHyper, value), value);
  for (const value of [0, 2 ** 32, Number.MAX_SAFE_INTEGER]) assert.equal(roundTrip(xdr.size, value), value);
  for (const value of [0, -0.5, Number.MAX_VALUE, Number.NaN]) assert.equal(roundTrip(xdr.double, value), value);
  for (const value of [true, false]) assert.equal(roundTrip(xdr.bool, value), value);
  for (const value of ['', 'a', 'abcd', 'Grüße', '🙂'.repeat(5)])
    assert.equal(roundTrip(xdr.string(100), value), value);
  for (const length of [0, 1, 2, 3, 4, 5]) {
    const value = Buffer.alloc(length, 7);
    assert.deepEqual(roundTrip(xdr.opaque(10), value), value);
  }
  const uuid = '01234567-89ab-cdef-0123-456789abcdef';
  assert.equal(roundTrip(xdr.uuid, uuid), uuid);
  assert.equal(roundTrip(xdr.uuid, uuid.replaceAll('-', '').toUpperCase()), uuid);
  assert.equal(roundTrip(xdr.charArray(8), 'x86_64'), 'x86_64');
  assert.equal(roundTrip(xdr.optional(xdr.int), null), null);
  assert.equal(roundTrip(xdr.optional(xdr.int), 5), 5);
  assert.deepEqual(roundTrip(xdr.list(xdr.string(9), 3), ['a', '', 'ccc']), ['a', '', 'ccc']);
});

test('a struct is its fields one after another, as RFC 4506 writes them', () => {
  const type = xdr.struct({ name: xdr.string(9), id: xdr.int, next: xdr.optional(xdr.uint) });
  const value = { name: 'abc', id: -2, next: 7 };
  assert.equal(encode(type, value).toString('hex'), '0000000361626300fffffffe0000000100000007');
  assert.deepEqual(roundTrip(type, value), value);
});

test('typed parameters of all seven types come back with their types', () => {
  const parameters = [
    { field: 'a', value: { type: 'int', value: -1 } },
    { field: 'b', value: { type: 'uint', value: 2 ** 32 - 1 } },
    { field: 'c', value: { type: 'llong', value: -(2n ** 63n) } },
    { field: 'd', value: { type: 'ullong', value: 2n ** 64n - 1n } },
    { field: 'e', value: { type: 'double', value: 1.5 } },
    { field: 'f', value: { type: 'boolean', value: true } },
    { field: 'g', value: { type: 'string', value: 'text' } },
  ] as const;
  assert.deepEqual(roundTrip(typedParameters(7), parameters), parameters);
  assert.throws(() => roundTrip(typedParameters(6), parameters), InvalidValue);
  const wrongType = encode(xdr.struct({ count: xdr.uint, field: xdr.string(9), type: xdr.int, value: xdr.int }), {
    count: 1,
    field: 'x',
    type: 8,
    value: 0,
  });
  assert.throws(() => typedParameters(6).decode(new XdrReader(wrongType)), ProtocolError);
});

test('a message cut anywhere is refused, never read beyond', () => {
  const type = xdr.struct({
    text: xdr.string(20),
    list: xdr.list(xdr.unsignedHyper, 4),
    uuid: xdr.uuid,
    bytes: xdr.opaque(10),
    last: xdr.double,
  });
  const value = { text: 'hello', list: [1n, 2n], uuid: '0'.repeat(32), bytes: Buffer.from('xyz'), last: 1 };
  const bytes = encode(type, value);
  // Behind the cut lie bytes that must not be seen.
  for (let cut = 0; cut < bytes.length; cut++) {
    assert.throws(() => type.decode(new XdrReader(bytes, 0, cut)), ProtocolError, `cut at ${cut}`);
  }
});

test('a length above its limit or behind the end is refused before memory is taken', () => {
  const huge = Buffer.from('ffffffff', 'hex');
  assert.throws(() => xdr.string(100).decode(new XdrReader(huge)), ProtocolError);
  assert.throws(() => xdr.opaque(2 ** 32).decode(new XdrReader(huge)), ProtocolError);
  assert.throws(() => xdr.list(xdr.int, 2 ** 32).decode(new XdrReader(huge)), ProtocolError);
  const eleven = Buffer.concat([Buffer.from([0, 0, 0, 11]), Buffer.alloc(12)]);
  assert.throws(() => xdr.string(10).decode(new XdrReader(eleven)), ProtocolError);
  assert.throws(() => xdr.list(xdr.int, 100).decode(new XdrReader(eleven)), ProtocolError);
});

test('what is left over in a message is noticed', () => {
  const reader = new XdrReader(Buffer.alloc(8));
  xdr.int.decode(reader);
  assert.throws(() => reader.expectEnd(), ProtocolError);
});

test('a value that does not fit is refused by the writer', () => {
  for (const value of [-1, 2 ** 32, 1.5, Number.NaN]) assert.throws(() => encode(xdr.uint, value), InvalidValue);
  for (const value of [2 ** 31, -(2 ** 31) - 1, 0.5]) assert.throws(() => encode(xdr.int, value), InvalidValue);
  for (const value of [2n ** 63n, -(2n ** 63n) - 1n]) assert.throws(() => encode(xdr.hyper, value), InvalidValue);
  for (const value of [-1n, 2n ** 64n]) assert.throws(() => encode(xdr.unsignedHyper, value), InvalidValue);
  for (const value of [-1, 2 ** 53, 0.1]) assert.throws(() => encode(xdr.size, value), InvalidValue);
  assert.throws(() => encode(xdr.string(3), 'abcd'), InvalidValue);
  assert.throws(() => encode(xdr.string(3), 'a\0'), InvalidValue);
  assert.throws(() => encode(xdr.uuid, '0123'), InvalidValue);
  assert.throws(() => encode(xdr.list(xdr.int, 1), [1, 2]), InvalidValue);
  assert.throws(() => encode(xdr.charArray(2), 'abc'), InvalidValue);
});

test('the writer moves to a new slab without losing what was begun, and never touches what was taken', () => {
  const writer = new XdrWriter();
  const taken: Buffer[] = [];
  const expected: Buffer[] = [];
  for (let i = 0; i < 300; i++) {
    const text = 'x'.repeat((i * 997) % 5000) + i;
    writer.uint(i);
    writer.string(text, 10_000);
    if (i % 3 === 0) taken.push(writer.take());
    const padded = Buffer.alloc((Buffer.byteLength(text) + 3) & ~3);
    padded.write(text);
    expected.push(
      Buffer.from([0, 0, i >> 8, i & 255]),
      Buffer.from([0, 0, text.length >> 8, text.length & 255]),
      padded,
    );
  }
  taken.push(writer.take());
  assert.ok(Buffer.concat(taken).equals(Buffer.concat(expected)));
});

test('a rolled back message leaves no trace', () => {
  const writer = new XdrWriter();
  writer.uint(1);
  const mark = writer.length;
  writer.string('x'.repeat(100_000), 200_000);
  writer.rollback(mark);
  writer.uint(2);
  assert.equal(writer.take().toString('hex'), '0000000100000002');
});
