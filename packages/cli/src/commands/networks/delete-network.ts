import { defineCommand } from '../../command.ts';
import { eachBounded } from '../../each-bounded.ts';
import { findNetwork } from '../../lookup.ts';
import { makeChanges } from '../../operations/make-changes.ts';
import { reportChanges } from '../../operations/report-changes.ts';
import { confirmDestruction } from '../../prompts.ts';
import { waitOption, yesOption } from '../shared-options.ts';

export const deleteNetwork = defineCommand({
  meta: { path: 'networks delete', summary: 'Delete networks that no instance is attached to', section: 'Resources' },
  args: { networks: { summary: 'names or ids', variadic: true, complete: 'network' } },
  options: { yes: yesOption, wait: waitOption },
  examples: [{ command: 'virga networks delete lab', explains: 'asks first' }],
  async run(context, { args, options }) {
    const client = await context.client();
    const networks = await eachBounded([...new Set(args.networks)], 8, (name) => findNetwork(client, name));
    const names = networks.map(({ name }) => name).join(', ');
    await confirmDestruction(context, `Delete network ${names}?`, options.yes);
    const changes = networks.map(({ id, name }) => ({
      name,
      request: async () => {
        const answer = await client.deleteNetwork({ params: { id } });
        return { operationId: answer.operationId, resource: answer.network };
      },
      done: () => 'deleted',
    }));
    const outcomes = await makeChanges(context, changes, options.wait);
    const words = { noun: 'network', requested: 'deletion requested', done: () => 'deleted' };
    return reportChanges(context, outcomes, words, { waited: options.wait, many: true });
  },
});
