import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { test } from 'node:test';
import { assertCanListen } from './port.ts';

test('a port that something listens on is refused, and is free again when it does not', async () => {
  const other = createServer().listen(0, '127.0.0.1');
  await once(other, 'listening');
  const { port } = other.address() as AddressInfo;
  await assert.rejects(assertCanListen({ host: '127.0.0.1', port }), {
    name: 'PortInUse',
    detail: `Something else listens on 127.0.0.1:${port} already.`,
  });
  other.close();
  await once(other, 'close');
  await assertCanListen({ host: '127.0.0.1', port });
  await assertCanListen({ host: '127.0.0.1', port });
});

test('an address of another machine is refused', async () => {
  await assert.rejects(assertCanListen({ host: '192.0.2.1', port: 0 }), {
    name: 'InvalidArgument',
    detail: '192.0.2.1 is no address of this machine.',
  });
});
