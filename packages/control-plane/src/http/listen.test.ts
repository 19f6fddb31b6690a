import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fastify } from 'fastify';
import { listen } from './listen.ts';

test('a port that is taken is named, with what to do', async () => {
  const [first, second] = [fastify(), fastify()];
  try {
    const { port } = new URL(await listen(first, { host: '127.0.0.1', port: 0 }));
    await assert.rejects(listen(second, { host: '127.0.0.1', port: Number(port) }), {
      name: 'PortInUse',
      detail: `Port ${port} on 127.0.0.1 is used by another program.`,
    });
  } finally {
    await Promise.all([first.close(), second.close()]);
  }
});

test('an address that the machine does not have is named', async () => {
  const app = fastify();
  await assert.rejects(listen(app, { host: '192.0.2.1', port: 0 }), {
    name: 'PortInUse',
    detail: /no address 192\.0\.2\.1/,
  });
  await app.close();
});

test('a server on every address can be reached on this machine', async () => {
  const app = fastify();
  app.get('/', async () => 'here');
  try {
    const url = await listen(app, { host: '0.0.0.0', port: 0 });
    assert.equal(await (await fetch(url)).text(), 'here');
  } finally {
    await app.close();
  }
});
