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
    section: 'Resources',
  },
  args: { volumes: { summary: 'names or ids', variadic: true, complete: 'volume' } },
  options: { yes: yesOption, wait: waitOption },
  examples: [{ command: 'virga volumes delete data', explains: 'asks first' }],
  async run(context, { args, options }) {
    const client = await context.client();
    const volumes = await eachBounded([...new Set(args.volumes)], 8, (name) => findVolume(client, name));
    const names = volumes.map(({ name }) => name).join(', ');
    await confirmDestruction(context, `Delete volume ${names} with all that is in it?`, options.yes);
    const changes = volumes.map(({ id, name }) => ({
      name,
      request: async () => {
        const answer = await client.deleteVolume({ params: { id } });
        return { operationId: answer.operationId, resource: answer.volume };
      },
      done: () => 'deleted',
    }));
    const outcomes = await makeChanges(context, changes, options.wait);
    const words = { noun: 'volume', requested: 'deletion requested', done: () => 'deleted' };
    return reportChanges(context, outcomes, words, { waited: options.wait, many: true });
  },
});
