// A process of its own, to be killed: opens an agent on the storage of a test and makes an image. When a command of the recipe
// runs, or the disk is being looked into, it dies.
// usage: killed-build.ts STORAGE_FOLDER ORDER, which is JSON
import type { ImageOrder } from '@virga/contract/agent/image-building';
import pino from 'pino';
import { openLibvirtAgent } from '../../libvirt-agent.ts';

const [storagePath, order] = process.argv.slice(2);
if (storagePath === undefined || order === undefined) throw new Error('see the head of this file');

const agent = await openLibvirtAgent({
  socketPath: process.env.VIRGA_TEST_LIBVIRT_SOCKET,
  storagePath,
  acceleration: 'tcg',
  log: pino({ level: 'silent' }),
  hook: (step) => {
    if (step === 'copy-disk') process.kill(process.pid, 'SIGKILL');
  },
});
const onProgress = (message: string) => {
  if (message === 'running command 0') process.kill(process.pid, 'SIGKILL');
};
await agent.buildImage(JSON.parse(order) as ImageOrder, { onProgress });
throw new Error('it was not killed');
