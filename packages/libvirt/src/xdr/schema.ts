// The small language in which messages are declared. Each declaration is at once the encoder, the decoder and (through
// `Infer`) the TypeScript type. Owns no message; those live in protocol/. Fails as XdrReader and XdrWriter do.
import { InvalidValue } from '../errors.ts';
import type { XdrReader } from './reader.ts';
import type { XdrWriter } from './writer.ts';

/** A wire type: how a value of type T is written and read. `minBytes` is the least it takes on the wire. */
export interface Type<T> {
  readonly minBytes: number;
  encode(writer: XdrWriter, value: T): void;
  decode(reader: XdrReader): T;
}

/** The TypeScript type of a declaration. */
export type Infer<D> = D extends Type<infer T> ? T : never;

export const int: Type<number> = {
  minBytes: 4,
  encode: (writer, value) => writer.int(value),
  decode: (reader) => reader.int(),
};

export const uint: Type<number> = {
  minBytes: 4,
  encode: (writer, value) => writer.uint(value),
  decode: (reader) => reader.uint(),
};

/** An int that is only ever asked whether it is zero. */
export const bool: Type<boolean> = {
  minBytes: 4,
  encode: (writer, value) => writer.int(value ? 1 : 0),
  decode: (reader) => reader.int() !== 0,
};

export const hyper: Type<bigint> = {
  minBytes: 8,
  encode: (writer, value) => writer.hyper(value),
  decode: (reader) => reader.hyper(),
};

/** For counters that can pass 2^53, such as nanoseconds. */
export const unsignedHyper: Type<bigint> = {
  minBytes: 8,
  encode: (writer, value) => writer.unsignedHyper(value),
  decode: (reader) => reader.unsignedHyper(),
};

/** For sizes: an unsigned hyper as a number. Above 2^53 (9 PB) it is rounded on reading and refused on writing. */
export const size: Type<number> = {
  minBytes: 8,
  encode: (writer, value) => writer.unsignedHyperNumber(value),
  decode: (reader) => reader.unsignedHyperNumber(),
};

export const double: Type<number> = {
  minBytes: 8,
  encode: (writer, value) => writer.double(value),
  decode: (reader) => reader.double(),
};

export const string = (maxBytes: number): Type<string> => ({
  minBytes: 4,
  encode: (writer, value) => writer.string(value, maxBytes),
  decode: (reader) => reader.string(maxBytes),
});

/** Bytes of any length. The decoded value is a copy of its own. */
export const opaque = (maxBytes: number): Type<Uint8Array> => ({
  minBytes: 4,
  encode: (writer, value) => writer.opaque(value, maxBytes),
  decode: (reader) => Buffer.from(reader.opaque(maxBytes)),
});

const hexOfByte = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'));
const uuidPattern = /^[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}$/i;

/** Sixteen raw bytes on the wire, `xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx` in lower case outside. */
export const uuid: Type<string> = {
  minBytes: 16,
  encode(writer, value) {
    if (!uuidPattern.test(value)) throw new InvalidValue(`'${value}' is not a UUID`);
    writer.fixedOpaque(Buffer.from(value.replaceAll('-', ''), 'hex'), 16);
  },
  decode(reader) {
    const bytes = reader.fixedOpaque(16);
    let text = '';
    for (let i = 0; i < 16; i++) {
      if (i === 4 || i === 6 || i === 8 || i === 10) text += '-';
      text += hexOfByte[bytes[i]!];
    }
    return text;
  },
};

export function list<T>(element: Type<T>, max: number): Type<readonly T[]> {
  return {
    minBytes: 4,
    encode(writer, values) {
      writer.count(values.length, max);
      for (const value of values) element.encode(writer, value);
    },
    decode(reader) {
      const length = reader.length(max, element.minBytes);
      const values: T[] = [];
      for (let i = 0; i < length; i++) values.push(element.decode(reader));
      return values;
    },
  };
}

/** A C array of one int per element, such as `char model[32]`: text up to the first zero. */
export function charArray(length: number): Type<string> {
  return {
    minBytes: 4 * length,
    encode(writer, value) {
      const bytes = Buffer.from(value, 'latin1');
      if (bytes.length > length) throw new InvalidValue(`'${value}' is longer than ${length} characters`);
      for (let i = 0; i < length; i++) writer.int(bytes[i] ?? 0);
    },
    decode(reader) {
      let text = '';
      let ended = false;
      for (let i = 0; i < length; i++) {
        const code = reader.int() & 0xff;
        ended ||= code === 0;
        if (!ended) text += String.fromCharCode(code);
      }
      return text;
    },
  };
}

export function optional<T>(type: Type<T>): Type<T | null> {
  return {
    minBytes: 4,
    encode(writer, value) {
      writer.uint(value === null ? 0 : 1);
      if (value !== null) type.encode(writer, value);
    },
    decode: (reader) => (reader.uint() === 0 ? null : type.decode(reader)),
  };
}

type Fields = Record<string, Type<unknown>>;

/** Fields one after another, in the order in which they are declared. */
export function struct<F extends Fields>(fields: F): Type<{ [K in keyof F]: Infer<F[K]> }> {
  const names = Object.keys(fields);
  const types = Object.values(fields);
  return {
    minBytes: types.reduce((sum, type) => sum + type.minBytes, 0),
    encode(writer, value) {
      for (let i = 0; i < names.length; i++) types[i]!.encode(writer, value[names[i]!]);
    },
    decode(reader) {
      const value: Record<string, unknown> = {};
      for (let i = 0; i < names.length; i++) value[names[i]!] = types[i]!.decode(reader);
      return value as { [K in keyof F]: Infer<F[K]> };
    },
  };
}

/** No fields at all. */
export const nothing: Type<void> = { minBytes: 0, encode() {}, decode() {} };
