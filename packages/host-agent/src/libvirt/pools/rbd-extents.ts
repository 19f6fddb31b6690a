// Parts of an image of Ceph as its program lists them, a line for each object: of a large image more than one would keep, so
// what lies side by side is told as one.
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';

export type Extent = { offset: number; length: number };

const line = /^(\d+)\s+(\d+)\s+(data|zero)/;

/** @param output of `rbd diff`, to its end */
export async function readExtents(output: Readable): Promise<Extent[]> {
  const found: Extent[] = [];
  for await (const text of createInterface({ input: output })) {
    const [, offset, length] = (line.exec(text) ?? []).map(Number);
    if (offset === undefined || length === undefined) continue;
    const last = found.at(-1);
    if (last !== undefined && last.offset + last.length === offset) last.length += length;
    else found.push({ offset, length });
  }
  return found;
}
