// Parts of an image of Ceph as its program lists them, a line for each object: of a large image more than one would keep, so
// what lies side by side is told as one.
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';

/** `zero`: it is empty, and was not when it is compared with what was. */
export type Extent = { offset: number; length: number; zero: boolean };

const line = /^(\d+)\s+(\d+)\s+(data|zero)/;

/** @param output of `rbd diff`, to its end */
export async function readExtents(output: Readable): Promise<Extent[]> {
  const found: Extent[] = [];
  for await (const text of createInterface({ input: output })) {
    const [, first, count, kind] = line.exec(text) ?? [];
    if (kind === undefined) continue;
    const [offset, length, zero] = [Number(first), Number(count), kind === 'zero'];
    const last = found.at(-1);
    if (last !== undefined && last.zero === zero && last.offset + last.length === offset) last.length += length;
    else found.push({ offset, length, zero });
  }
  return found;
}
