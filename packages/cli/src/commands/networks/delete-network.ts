import { defineCommand } from '../../command.ts';
import { findNetwork } from '../../lookup.ts';
import { deleteNamed } from '../delete-named.ts';
import { waitOption, yesOption } from '../shared-options.ts';

export const deleteNetwork = defineCommand({
  meta: { path: 'networks delete', summary: 'Delete networks that no instance is attached to', section: 'Resources' },
  args: { networks: { summary: 'names or ids', variadic: true, complete: 'network' } },
  options: { yes: yesOption, wait: waitOption },
  examples: [{ command: 'virga networks delete lab', explains: 'asks first' }],
  run: (context, { args, options }) =>
    deleteNamed(context, 'network', args.networks, options, {
      find: findNetwork,
      question: (names) => `Delete network ${names}?`,
      call: (client, id) => client.deleteNetwork({ params: { id } }),
    }),
});
