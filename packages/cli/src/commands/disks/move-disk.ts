import { defineCommand } from '../../command.ts';
import { findInstance } from '../../lookup.ts';
import { changeOne } from '../../operations/change-one.ts';
import { readRate } from '../../rate.ts';
import { waitOption } from '../shared-options.ts';

export const moveDisk = defineCommand({
  meta: {
    path: 'disks move',
    summary: 'Move the root disk of an instance to another pool, also while its guest writes to it',
    details:
      'The guest goes on: what it writes goes to both places until all is copied, and from one moment on to the new one. ' +
      'Until then the move can be cancelled, and what fails is taken back. A disk that rests on its image becomes a copy of ' +
      'its own. The next backup is a full one. Volumes are moved with virga volumes move.',
    section: 'Devices',
  },
  args: { instance: { summary: 'name or id', complete: 'instance' } },
  options: {
    pool: { type: 'text', value: 'POOL', summary: 'a pool of its host: virga pools', complete: 'pool', required: true },
    maxRate: { type: 'text', value: 'RATE', summary: 'copy no faster than that many bytes a second, such as 100M' },
    wipe: { type: 'flag', summary: 'overwrite what is left in the old pool before it is removed' },
    wait: waitOption,
  },
  examples: [
    { command: 'virga disks move web --pool fast --wait', explains: 'to the pool fast, with the progress shown' },
    {
      command: 'virga disks move web --pool local --max-rate 50M',
      explains: "home, to the host's own storage, slowly",
    },
  ],
  async run(context, { args, options: { pool, maxRate, wipe, wait } }) {
    const client = await context.client();
    const body = {
      pool,
      ...(maxRate !== undefined && { bandwidthBytesPerSecond: readRate('--max-rate', maxRate) }),
      ...(wipe && { wipe }),
    };
    const { id, name } = await findInstance(client, args.instance);
    return changeOne(context, 'instance', {
      ...{ name, wait, requested: 'move of its root disk requested' },
      request: () => client.moveRootDisk({ params: { id }, body }),
      afterwards: () => client.getInstance({ params: { id } }),
      done: ({ rootPoolName }) => `its root disk lies in ${rootPoolName ?? 'the storage of its host'}`,
    });
  },
});

export const cancelDiskMove = defineCommand({
  meta: {
    path: 'disks cancel-move',
    summary: 'Cancel the move of a root disk, which stays where it was',
    section: 'Devices',
  },
  args: { instance: { summary: 'name or id', complete: 'instance' } },
  options: {},
  examples: [{ command: 'virga disks cancel-move web', explains: 'its root disk stays in its pool' }],
  async run(context, { args }) {
    const client = await context.client();
    const { id, name } = await findInstance(client, args.instance);
    return changeOne(context, 'instance', {
      ...{ name, wait: false, requested: 'move of its root disk cancelled' },
      request: () => client.cancelRootDiskMove({ params: { id } }),
      done: () => 'move of its root disk cancelled',
    });
  },
});
