// The least VNC client that sees something: handshake without a password, and one picture of raw pixels.
// @see RFC 6143
import assert from 'node:assert/strict';
import type { Duplex } from 'node:stream';
import { ByteReader } from '../byte-reader.ts';

export type RfbScreen = { version: string; width: number; height: number; name: string; bitsPerPixel: number };
export type RfbRectangle = { x: number; y: number; width: number; height: number; pixels: Buffer };

const noPassword = 1;
const clientMessage = { setEncodings: 2, updateRequest: 3 } as const;
const serverMessage = { update: 0, colorMap: 1, bell: 2, cutText: 3 } as const;
const rawEncoding = 0;

export class RfbClient {
  private readonly stream: Duplex;
  private readonly reader: ByteReader;
  private bytesPerPixel = 4;

  constructor(stream: Duplex) {
    this.stream = stream;
    this.reader = new ByteReader(stream);
  }

  /** @throws AssertionError the server asks for a password, or speaks another protocol */
  async connect(): Promise<RfbScreen> {
    const version = (await this.reader.take(12)).toString('latin1').trim();
    assert.match(version, /^RFB 003\.\d{3}$/);
    this.stream.write('RFB 003.008\n');
    const [count = 0] = await this.reader.take(1);
    const securityTypes = await this.reader.take(count);
    assert.ok(securityTypes.includes(noPassword), `the server offers ${securityTypes.toString('hex')}`);
    this.stream.write(Buffer.from([noPassword]));
    assert.equal((await this.reader.take(4)).readUInt32BE(), 0, 'the server refuses');
    const isShared = 1;
    this.stream.write(Buffer.from([isShared]));
    const init = await this.reader.take(24);
    const name = (await this.reader.take(init.readUInt32BE(20))).toString();
    const bitsPerPixel = init.readUInt8(4);
    this.bytesPerPixel = bitsPerPixel / 8;
    return { version, width: init.readUInt16BE(0), height: init.readUInt16BE(2), name, bitsPerPixel };
  }

  /** The first rectangle of the next picture. */
  async picture({ width, height }: Pick<RfbScreen, 'width' | 'height'>): Promise<RfbRectangle> {
    const encodings = Buffer.alloc(8);
    encodings.writeUInt8(clientMessage.setEncodings, 0);
    encodings.writeUInt16BE(1, 2);
    encodings.writeInt32BE(rawEncoding, 4);
    const request = Buffer.alloc(10);
    request.writeUInt8(clientMessage.updateRequest, 0);
    request.writeUInt16BE(width, 6);
    request.writeUInt16BE(height, 8);
    this.stream.write(Buffer.concat([encodings, request]));
    for (;;) {
      const [type] = await this.reader.take(1);
      if (type === serverMessage.update) break;
      if (type === serverMessage.bell) continue;
      assert.equal(type, serverMessage.cutText, 'a message that nobody asked for');
      await this.reader.take((await this.reader.take(7)).readUInt32BE(3));
    }
    assert.ok((await this.reader.take(3)).readUInt16BE(1) > 0, 'a picture without a rectangle');
    const head = await this.reader.take(12);
    const [x, y, w, h] = [0, 2, 4, 6].map((at) => head.readUInt16BE(at)) as [number, number, number, number];
    assert.equal(head.readInt32BE(8), rawEncoding);
    return { x, y, width: w, height: h, pixels: await this.reader.take(w * h * this.bytesPerPixel) };
  }

  /** Reads on until the server hangs up. */
  async ended(): Promise<void> {
    for (;;) {
      try {
        await this.reader.take(1);
      } catch {
        return;
      }
    }
  }
}
