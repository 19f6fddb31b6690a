import { OperationState } from '@virga/contract/rest/operations';
import { defineCommand } from '../../command.ts';
import { listAll } from '../../list-all.ts';
import { resourceIdOf } from '../shared-lookups.ts';
import { operationColumns } from './operation-view.ts';

const states = OperationState.anyOf.map((state) => state.const);

export const listOperations = defineCommand({
  meta: {
    path: 'operations list',
    summary: 'List what Virga does and did, newest first',
    section: 'Watching',
    groupDefault: true,
  },
  args: {},
  options: {
    state: { type: 'text', value: 'STATE', choices: states, summary: 'only those in this state' },
    resource: {
      type: 'text',
      value: 'RESOURCE',
      summary: 'only those on this resource: name of an instance, or id of anything',
      complete: 'instance',
    },
    limit: { type: 'integer', value: 'N', summary: 'at most this many', minimum: 1, maximum: 100_000, default: 50 },
  },
  examples: [
    { command: 'virga operations', explains: 'the latest fifty' },
    { command: 'virga operations list --state running', explains: 'what is under way' },
    { command: 'virga operations list --resource web', explains: 'what was done to web' },
  ],
  async run(context, { options }) {
    const client = await context.client();
    const resourceId = await resourceIdOf(client, options.resource);
    const filter = { ...(options.state ? { state: options.state } : {}), ...(resourceId ? { resourceId } : {}) };
    const items = await listAll((query) => client.listOperations({ query: { ...query, ...filter } }), options.limit);
    const none = 'There is no such operation. virga launch starts one.';
    await context.print.list(items, operationColumns(context.nowMs()), (item) => item.id, none);
    return 0;
  },
});
