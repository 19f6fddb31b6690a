import { defineCommand } from '../../command.ts';
import { findPool } from '../../lookup.ts';
import { poolRows } from './pool-view.ts';

export const showPool = defineCommand({
  meta: { path: 'pools show', summary: 'Show a storage pool', section: 'Resources' },
  args: { pool: { summary: 'name or id', complete: 'pool' } },
  options: {},
  examples: [{ command: 'virga pools show local', explains: 'its room, and what its file system can do' }],
  async run(context, { args }) {
    const pool = await findPool(await context.client(), args.pool);
    await context.print.record(pool, poolRows(pool, context.nowMs()), pool.id);
    return 0;
  },
});
