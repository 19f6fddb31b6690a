// Pictures of screens: reads the pixmaps that QEMU before 7.1 gives, and writes PNG. Pure; bytes that are no picture throw.
// Sources: https://netpbm.sourceforge.net/doc/ppm.html https://www.w3.org/TR/png-3/
import { crc32, deflateSync } from 'node:zlib';

export type Picture = {
  width: number;
  height: number /** Red, green and blue, 8 bits each, row by row. */;
  rgb: Buffer;
};

const pngSignature = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
const bytesPerPixel = 3;
const eightBits = 8;
const trueColor = 2;

export const isPng = (bytes: Buffer): boolean => bytes.subarray(0, pngSignature.length).equals(pngSignature);

/** @throws SyntaxError it is no binary pixmap with 8 bits a color */
export function readPixmap(bytes: Buffer): Picture {
  const header = /^P6\s(?:#[^\n]*\n)*\s*(\d+)\s+(\d+)\s+255\s/.exec(bytes.toString('latin1', 0, 512));
  const [width, height] = [Number(header?.[1]), Number(header?.[2])];
  const rgb = bytes.subarray(header?.[0].length ?? 0);
  if (!header || rgb.length < width * height * bytesPerPixel) throw new SyntaxError('this is no whole binary pixmap');
  return { width, height, rgb: rgb.subarray(0, width * height * bytesPerPixel) };
}

export function writePng({ width, height, rgb }: Picture): Buffer {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([eightBits, trueColor], 8);
  const rowBytes = width * bytesPerPixel;
  // Each row begins with the number of its filter: 0 is none.
  const rows = Buffer.alloc(height * (rowBytes + 1));
  for (let row = 0; row < height; row++) {
    rgb.copy(rows, row * (rowBytes + 1) + 1, row * rowBytes, (row + 1) * rowBytes);
  }
  const parts = [chunk('IHDR', header), chunk('IDAT', deflateSync(rows)), chunk('IEND', Buffer.alloc(0))];
  return Buffer.concat([pngSignature, ...parts]);
}

function chunk(type: string, data: Buffer): Buffer {
  const typed = Buffer.concat([Buffer.from(type, 'latin1'), data]);
  const framed = Buffer.alloc(typed.length + 8);
  framed.writeUInt32BE(data.length, 0);
  typed.copy(framed, 4);
  framed.writeUInt32BE(crc32(typed), typed.length + 4);
  return framed;
}
