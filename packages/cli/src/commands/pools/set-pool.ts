import { VirgaError } from '@virga/contract/errors';
import { defineCommand } from '../../command.ts';
import { findPool } from '../../lookup.ts';
import { poolOptions, readPoolChange } from './pool-options.ts';
import { poolRows } from './pool-view.ts';

export const setPool = defineCommand({
  meta: {
    path: 'pools set',
    summary: 'Change how much of a pool may be promised, when it is low, and whether it is the default',
    details: 'What is promised already stays so. Needs the cloud role admin.',
    section: 'Resources',
  },
  args: { pool: { summary: 'name or id', complete: 'pool' } },
  options: { ...poolOptions, noDefault: { type: 'flag', summary: 'it is no longer the default' } },
  examples: [
    { command: 'virga pools set fast --overcommit 2 --low-space 15', explains: 'promises twice its size' },
    { command: 'virga pools set fast --default', explains: 'volumes go there from now on' },
  ],
  async run(context, { args, options }) {
    if (options.default && options.noDefault) {
      throw new VirgaError('InvalidArgument', {
        detail: '--default and --no-default were both given.',
        action: 'Give one of them.',
      });
    }
    const body = { ...readPoolChange(options), ...(options.noDefault && { isDefault: false }) };
    if (Object.keys(body).length === 0) {
      throw new VirgaError('InvalidArgument', {
        detail: 'Nothing to set was given.',
        action: 'virga pools set --help shows what can be set.',
      });
    }
    const client = await context.client();
    const { id } = await findPool(client, args.pool);
    const pool = await client.updatePool({ params: { id }, body });
    await context.print.record(pool, poolRows(pool, context.nowMs()), pool.id);
    return 0;
  },
});
