// Data streams against a server that cuts, floods, stalls and fails them.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import { after, test } from 'node:test';
import { ConnectionLost, ProtocolError } from '../errors.ts';
import { remoteError } from '../protocol/objects.ts';
import { encoded, fakeServers, frame, words } from '../testing/fake-server.ts';

const upload = 208;
const download = 209;
const volume = { pool: 'p', name: 'v', key: 'k' };
const servers = fakeServers();
const connectTo = servers.connectTo;

after(() => servers.close());

const streamError = encoded((writer) =>
  remoteError.encode(writer, {
    code: 38,
    domain: 38,
    message: 'disk broken',
    level: 2,
    object: null,
    string1: null,
    string2: null,
    string3: null,
    int1: 0,
    int2: 0,
    network: null,
  }),
);

test('a download ends only after the server has confirmed the end', async () => {
  let confirm = (): void => undefined;
  const connection = await connectTo((message, peer) => {
    if (message.procedure !== download) return false;
    if (message.type === 0) {
      peer.reply(message);
      peer.stream(message, Buffer.from('data'));
      peer.stream(message, Buffer.alloc(0));
    } else if (message.status === 0) {
      confirm = () => peer.stream(message);
    }
    return true;
  });
  const stream = await connection.volumes.download(volume);
  let ended = false;
  stream.on('end', () => {
    ended = true;
  });
  const [data] = (await once(stream, 'data')) as [Buffer];
  assert.equal(data.toString(), 'data');
  await new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
  assert.equal(ended, false);
  const end = once(stream, 'end');
  while (confirm.length === 0 && !ended) {
    confirm();
    await new Promise((resolve) => setImmediate(resolve));
  }
  await end;
});

test('data may come ahead of the answer that opens the stream, more than is ever held back', async () => {
  const piece = Buffer.alloc(256 * 1024, 7);
  const connection = await connectTo((message, peer) => {
    if (message.procedure !== download) return false;
    if (message.type === 0) {
      for (let i = 0; i < 16; i++) peer.stream(message, piece);
      setTimeout(() => {
        peer.reply(message);
        peer.stream(message, Buffer.alloc(0));
      }, 50);
    } else if (message.status === 0) {
      peer.stream(message);
    }
    return true;
  });
  const data = await buffer(await connection.volumes.download(volume, { timeoutMs: 5000 }));
  assert.ok(data.equals(Buffer.concat(Array.from({ length: 16 }, () => piece))));
});

test('an error in place of the confirmation fails the download, although all data came', async () => {
  const connection = await connectTo((message, peer) => {
    if (message.procedure !== download) return false;
    if (message.type === 0) {
      peer.reply(message);
      peer.stream(message, Buffer.from('data'));
      peer.stream(message, Buffer.alloc(0));
    } else {
      peer.socket.write(frame(message.program, download, 3, message.serial, 1, streamError));
    }
    return true;
  });
  await assert.rejects(buffer(await connection.volumes.download(volume)), {
    name: 'LibvirtError',
    code: 'SYSTEM_ERROR',
    message: 'disk broken',
  });
});

test('a server that goes away in the middle of a download fails the stream and nothing else', async () => {
  const connection = await connectTo((message, peer) => {
    if (message.procedure === 59) {
      peer.reply(
        message,
        encoded((writer) => writer.string('h', 9)),
      );
      return true;
    }
    if (message.procedure !== download) return false;
    peer.reply(message);
    peer.stream(message, Buffer.from('some'));
    setImmediate(() => peer.socket.destroy());
    return true;
  });
  await assert.rejects(buffer(await connection.volumes.download(volume)), ConnectionLost);
  assert.equal(await connection.node.hostname(), 'h');
});

test('a flood of data waits at the server while nobody reads', async () => {
  const packet = Buffer.alloc(256 * 1024);
  let sentBytes = 0;
  const connection = await connectTo((message, peer) => {
    if (message.procedure !== download) return false;
    if (message.type !== 0) return true;
    peer.reply(message);
    const send = (): void => {
      do sentBytes += packet.length;
      while (
        !peer.socket.destroyed &&
        peer.socket.write(frame(message.program, download, 3, message.serial, 2, packet))
      );
      peer.socket.once('drain', send);
    };
    send();
    return true;
  });
  const stream = await connection.volumes.download(volume);
  await once(stream, 'readable');
  let before = -1;
  while (before !== sentBytes) {
    before = sentBytes;
    for (let i = 0; i < 50; i++) await new Promise((resolve) => setImmediate(resolve));
  }
  assert.ok(stream.readableLength < 2 ** 21, `${stream.readableLength} bytes were taken`);
  assert.ok(sentBytes < 2 ** 22, `${sentBytes} bytes were sent`);
  stream.destroy();
});

test('an upload to a server that does not read waits instead of filling memory', async () => {
  const connection = await connectTo((message, peer) => {
    if (message.procedure !== upload) return false;
    if (message.type === 0) peer.reply(message);
    peer.socket.pause();
    return true;
  });
  const stream = await connection.volumes.upload(volume);
  let written = 0;
  const source = Readable.from(
    (function* () {
      for (let i = 0; i < 1000; i++) {
        written++;
        yield Buffer.alloc(64 * 1024);
      }
    })(),
  );
  const end = pipeline(source, stream).catch((error: unknown) => error);
  let before = -1;
  while (before !== written) {
    before = written;
    for (let i = 0; i < 50; i++) await new Promise((resolve) => setImmediate(resolve));
  }
  assert.ok(written < 100, `${written} pieces of 64 KiB were taken`);
  stream.destroy(new Error('enough'));
  assert.match(String(await end), /enough/);
});

test('an error that the server sends during an upload stops the upload', async () => {
  const connection = await connectTo((message, peer) => {
    if (message.procedure !== upload) return false;
    if (message.type === 0) peer.reply(message);
    else peer.socket.write(frame(message.program, upload, 3, message.serial, 1, streamError));
    return true;
  });
  const stream = await connection.volumes.upload(volume);
  const endless = new Readable({ read: () => endless.push(Buffer.alloc(64 * 1024)) });
  await assert.rejects(pipeline(endless, stream), { name: 'LibvirtError', code: 'SYSTEM_ERROR' });
});

test('a hole that fails is answered like a call, and fails the upload all the same', async () => {
  const connection = await connectTo((message, peer) => {
    if (message.procedure !== upload) return false;
    if (message.type === 0) peer.reply(message);
    else if (message.type === 6) peer.error(message, streamError);
    return true;
  });
  const stream = await connection.volumes.upload(volume, { sparse: true });
  await assert.rejects(pipeline(Readable.from([{ holeBytes: 4096 }]), stream), { code: 'SYSTEM_ERROR' });
});

test('a hole in a stream that was not asked to have holes is a violation', async () => {
  const connection = await connectTo((message, peer) => {
    if (message.procedure !== download) return false;
    peer.reply(message);
    peer.socket.write(frame(message.program, download, 6, message.serial, 2, words(0, 4096, 0)));
    return true;
  });
  const stream = await connection.volumes.download(volume);
  await assert.rejects(buffer(stream), (error) => {
    assert.ok(error instanceof ConnectionLost && error.cause instanceof ProtocolError);
    return true;
  });
});

test('destroying a stream tells the server, once', async () => {
  const aborted: number[] = [];
  const told = Promise.withResolvers<void>();
  const connection = await connectTo((message, peer) => {
    if (message.procedure !== download) return false;
    if (message.type === 0) peer.reply(message);
    else {
      aborted.push(message.status);
      told.resolve();
    }
    return true;
  });
  const stream = await connection.volumes.download(volume);
  stream.destroy();
  await told.promise;
  assert.deepEqual(aborted, [1]);
});

test('closing the connection ends its streams', async () => {
  const connection = await connectTo((message, peer) => {
    if (message.procedure !== download) return false;
    if (message.type === 0) peer.reply(message);
    return true;
  });
  const stream = await connection.volumes.download(volume);
  const end = buffer(stream).catch((error: unknown) => error);
  await connection.close();
  assert.ok((await end) instanceof ConnectionLost);
});
