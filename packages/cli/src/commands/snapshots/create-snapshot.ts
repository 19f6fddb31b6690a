import { defineCommand } from '../../command.ts';
import { idempotent } from '../../idempotent.ts';
import { changeOne } from '../../operations/change-one.ts';
import { waitOption } from '../shared-options.ts';
import { keeps } from './snapshot-view.ts';

export const createSnapshot = defineCommand({
  meta: {
    path: 'snapshots create',
    summary: 'Keep all disks of an instance as they are at one moment',
    details:
      'The guest runs on meanwhile. Its file systems are frozen for that moment where a guest agent answers; else the ' +
      'snapshot is as after a loss of power. With --memory the guest goes on from that very moment when it is put back.',
    section: 'Resources',
  },
  args: { instance: { summary: 'name or id', complete: 'instance' } },
  options: {
    name: { type: 'text', value: 'NAME', summary: 'default the name of the instance and the time' },
    memory: { type: 'flag', summary: 'keep the memory of the guest too; it must be on' },
    protect: {
      type: 'flag',
      summary: 'no schedule takes it away, and its instance is not deleted as long as it is there',
    },
    wait: waitOption,
  },
  examples: [
    { command: 'virga snapshots create web --name before-upgrade --wait', explains: 'something to go back to' },
    { command: 'virga snapshots create web --memory', explains: 'with what the guest has in memory' },
  ],
  async run(context, { args, options: { name, memory, protect, wait } }) {
    const client = await context.client();
    const body = {
      instance: args.instance,
      ...(name === undefined ? {} : { name }),
      ...(memory ? { memory } : {}),
      ...(protect ? { protected: true } : {}),
    };
    return changeOne(context, 'snapshot', {
      ...{ name: name ?? args.instance, wait, requested: 'requested' },
      request: () => idempotent((request) => client.createSnapshot({ body }, request)),
      afterwards: ({ id }) => client.getSnapshot({ params: { id } }),
      done: (snapshot) => `${snapshot.name} keeps ${keeps(snapshot)}`,
    });
  },
});
