import { defineCommand } from '../../command.ts';
import { eachBounded } from '../../each-bounded.ts';
import { findVolume } from '../../lookup.ts';
import { makeChanges } from '../../operations/make-changes.ts';
import { reportChanges } from '../../operations/report-changes.ts';
import { confirmDestruction } from '../../prompts.ts';
import { waitOption, yesOption } from '../shared-options.ts';

export const deleteVolume = defineCommand({
  meta: {
    path: 'volumes delete',
    summary: 'Delete volumes that no instance has, with all that is in them',
    details:
      'With --wipe what a volume has written is overwritten with zeroes first, in place, and its blocks are given back. A file ' +
      'system that writes elsewhere, such as Btrfs, a disk that does, such as an SSD, and snapshots and copies keep what they ' +
      'keep: encrypt what must be unreadable for certain.',
    section: 'Resources',
  },
  args: { volumes: { summary: 'names or ids', variadic: true, complete: 'volume' } },
  options: {
    wipe: { type: 'flag', summary: 'overwrite what was written to them with zeroes before they are removed' },
    yes: yesOption,
    wait: waitOption,
  },
  examples: [
    { command: 'virga volumes delete data', explains: 'asks first' },
    { command: 'virga volumes delete data --wipe --yes --wait', explains: 'overwritten before' },
  ],
  async run(context, { args, options }) {
    const client = await context.client();
    const volumes = await eachBounded([...new Set(args.volumes)], 8, (name) => findVolume(client, name));
    const names = volumes.map(({ name }) => name).join(', ');
    await confirmDestruction(context, `Delete volume ${names} with all that is in it?`, options.yes);
    const changes = volumes.map(({ id, name }) => ({
      name,
      request: async () => {
        const answer = await client.deleteVolume({ params: { id }, query: options.wipe ? { wipe: true } : {} });
        return { operationId: answer.operationId, resource: answer.volume };
      },
      done: () => 'deleted',
    }));
    const outcomes = await makeChanges(context, changes, options.wait);
    const words = { noun: 'volume', requested: 'deletion requested', done: () => 'deleted' };
    return reportChanges(context, outcomes, words, { waited: options.wait, many: true });
  },
});
