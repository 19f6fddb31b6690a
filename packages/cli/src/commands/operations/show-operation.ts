import { defineCommand } from '../../command.ts';
import { findOperation } from '../../lookup.ts';
import { operationRows } from './operation-view.ts';

export const showOperation = defineCommand({
  meta: { path: 'operations show', summary: 'Show an operation, with its error when it failed', section: 'Watching' },
  args: { operation: { summary: 'id', complete: 'operation' } },
  options: {},
  examples: [{ command: 'virga operations show op-0a1b2c3d4e5f60718', explains: 'how far it is, or why it failed' }],
  async run(context, { args }) {
    const operation = await findOperation(await context.client(), args.operation);
    await context.print.record(operation, operationRows(operation, context.nowMs()), operation.id);
    return 0;
  },
});
