import { defineCommand } from '../../command.ts';
import { findPool } from '../../lookup.ts';
import { deleteNamed } from '../delete-named.ts';
import { waitOption, yesOption } from '../shared-options.ts';

export const deletePool = defineCommand({
  meta: {
    path: 'pools delete',
    summary: 'Delete pools that nothing lies in; what they are made of stays',
    details: 'Needs the cloud role admin.',
    section: 'Resources',
  },
  args: { pools: { summary: 'names or ids', variadic: true, complete: 'pool' } },
  options: { yes: yesOption, wait: waitOption },
  examples: [{ command: 'virga pools delete fast', explains: 'asks first' }],
  run: (context, { args, options }) =>
    deleteNamed(context, 'pool', args.pools, options, {
      find: findPool,
      question: (names) => `Delete pool ${names}?`,
      call: (client, id) => client.deletePool({ params: { id } }),
    }),
});
