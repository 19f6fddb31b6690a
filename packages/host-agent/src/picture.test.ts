import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inflateSync } from 'node:zlib';
import { isPng, readPixmap, writePng } from './picture.ts';

const rgb = Buffer.from([255, 0, 0, 0, 255, 0, 0, 0, 255, 1, 2, 3, 4, 5, 6, 7, 8, 9]);

test('a pixmap with a comment becomes a PNG of the same pixels', () => {
  const pixmap = Buffer.concat([Buffer.from('P6\n# made by QEMU\n3 2\n255\n'), rgb]);
  const picture = readPixmap(pixmap);
  assert.deepEqual(picture, { width: 3, height: 2, rgb });
  const png = writePng(picture);
  assert.ok(isPng(png) && !isPng(pixmap));
  assert.deepEqual([png.readUInt32BE(16), png.readUInt32BE(20)], [3, 2]);
  const dataBytes = png.readUInt32BE(33);
  const rows = inflateSync(png.subarray(41, 41 + dataBytes));
  assert.deepEqual(rows, Buffer.from([0, ...rgb.subarray(0, 9), 0, ...rgb.subarray(9)]));
});

test('what is cut off or of another kind is no pixmap', () => {
  const bytes = Buffer.concat([Buffer.from('P6\n3 2\n255\n'), rgb]);
  assert.throws(() => readPixmap(bytes.subarray(0, -1)), SyntaxError);
  assert.throws(() => readPixmap(Buffer.from('P5\n3 2\n255\n')), SyntaxError);
});
