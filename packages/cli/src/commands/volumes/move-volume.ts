import { defineCommand } from '../../command.ts';
import { idempotent } from '../../idempotent.ts';
import { findVolume } from '../../lookup.ts';
import { changeOne } from '../../operations/change-one.ts';
import { readRate } from '../../rate.ts';
import { waitOption } from '../shared-options.ts';
import { formatOption } from './volume-options.ts';

export const moveVolume = defineCommand({
  meta: {
    path: 'volumes move',
    summary: 'Move a volume to another pool, also while a guest writes to it',
    details:
      'The guest goes on: what it writes goes to both places until all is copied, and from one moment on to the new one. ' +
      'Until then the move can be cancelled, and what fails is taken back. What backups had recorded of changes is of no use ' +
      'in the new place: the next one is a full one.',
    section: 'Resources',
  },
  args: { volume: { summary: 'name or id', complete: 'volume' } },
  options: {
    pool: { type: 'text', value: 'POOL', summary: 'a pool of its host: virga pools', complete: 'pool', required: true },
    format: { ...formatOption, summary: 'what it becomes on the way: qcow2 or raw; default what it is' },
    maxRate: { type: 'text', value: 'RATE', summary: 'copy no faster than that many bytes a second, such as 100M' },
    wipe: { type: 'flag', summary: 'overwrite what is left in the old pool before it is removed' },
    wait: waitOption,
  },
  examples: [
    { command: 'virga volumes move data --pool fast --wait', explains: 'to the pool fast, with the progress shown' },
    {
      command: 'virga volumes move data --pool slow --max-rate 50M',
      explains: 'at no more than 50 megabytes a second',
    },
  ],
  async run(context, { args, options: { pool, format, maxRate, wipe, wait } }) {
    const client = await context.client();
    const body = {
      pool,
      ...(format !== undefined && { format }),
      ...(maxRate !== undefined && { bandwidthBytesPerSecond: readRate('--max-rate', maxRate) }),
      ...(wipe && { wipe }),
    };
    const { id, name } = await findVolume(client, args.volume);
    return changeOne(context, 'volume', {
      ...{ name, wait, requested: 'move requested' },
      request: () => idempotent((request) => client.moveVolume({ params: { id }, body }, request)),
      afterwards: () => client.getVolume({ params: { id } }),
      done: ({ poolName }) => `lies in ${poolName}`,
    });
  },
});

export const cancelVolumeMove = defineCommand({
  meta: {
    path: 'volumes cancel-move',
    summary: 'Cancel the move of a volume, which stays where it was',
    section: 'Resources',
  },
  args: { volume: { summary: 'name or id', complete: 'volume' } },
  options: {},
  examples: [{ command: 'virga volumes cancel-move data', explains: 'data stays in its pool' }],
  async run(context, { args }) {
    const client = await context.client();
    const { id, name } = await findVolume(client, args.volume);
    return changeOne(context, 'volume', {
      ...{ name, wait: false, requested: 'move cancelled' },
      request: () => client.cancelVolumeMove({ params: { id } }),
      done: () => 'move cancelled',
    });
  },
});
