// The screen of a simulated guest: gray stripes, as a picture and by the RFB protocol. Owns the server's end of a session.
// @see RFC 6143
import { type Duplex, duplexPair } from 'node:stream';
import { ByteReader } from '../byte-reader.ts';
import { writePng } from '../picture.ts';

const width = 64;
const height = 48;
const bytesPerPixel = 4;
const shade = (x: number) => (x * 4) & 0xff;

export function simulatedPicture(): Buffer {
  const rgb = Buffer.alloc(width * height * 3);
  for (let at = 0; at < rgb.length; at++) rgb[at] = shade(Math.floor(at / 3) % width);
  return writePng({ width, height, rgb });
}

/** The client's end of a session. It ends when the server's is destroyed. */
export function openSimulatedDisplay(name: string, onClose: () => void): { client: Duplex; hangUp(): void } {
  const [client, server] = duplexPair();
  server.on('error', () => undefined);
  client.once('end', () => client.destroy());
  client.once('close', () => {
    server.destroy();
    onClose();
  });
  // A client that leaves, or breaks the protocol, ends its session.
  serve(server, name).catch(() => server.destroy());
  return { client, hangUp: () => void server.destroy() };
}

async function serve(stream: Duplex, name: string): Promise<void> {
  const reader = new ByteReader(stream);
  stream.write('RFB 003.008\n');
  await reader.take(12);
  stream.write(Buffer.from([1, 1]));
  if ((await reader.take(1))[0] !== 1) throw new Error('the client wants a password to be asked for');
  stream.write(Buffer.alloc(4));
  await reader.take(1);
  stream.write(serverInit(name));
  for (;;) {
    const [type] = await reader.take(1);
    switch (type) {
      case 0:
        await reader.take(19);
        break;
      case 2:
        await reader.take(4 * (await reader.take(3)).readUInt16BE(1));
        break;
      case 3:
        await reader.take(9);
        stream.write(update());
        break;
      case 4:
        await reader.take(7);
        break;
      case 5:
        await reader.take(5);
        break;
      case 6:
        await reader.take((await reader.take(7)).readUInt32BE(3));
        break;
      default:
        throw new Error(`the client sent a message of type ${type}`);
    }
  }
}

function serverInit(name: string): Buffer {
  const init = Buffer.alloc(24);
  init.writeUInt16BE(width, 0);
  init.writeUInt16BE(height, 2);
  // 32 bits, 24 of them used, little endian, true color, 8 bits each for red, green and blue.
  init.set([32, 24, 0, 1, 0, 255, 0, 255, 0, 255, 16, 8, 0], 4);
  init.writeUInt32BE(Buffer.byteLength(name), 20);
  return Buffer.concat([init, Buffer.from(name)]);
}

function update(): Buffer {
  const head = Buffer.alloc(16);
  head.writeUInt16BE(1, 2);
  head.writeUInt16BE(width, 8);
  head.writeUInt16BE(height, 10);
  const pixels = Buffer.alloc(width * height * bytesPerPixel);
  for (let at = 0; at < pixels.length; at++) pixels[at] = shade(Math.floor(at / bytesPerPixel) % width);
  return Buffer.concat([head, pixels]);
}
