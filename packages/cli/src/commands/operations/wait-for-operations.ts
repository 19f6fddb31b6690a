import type { Operation } from '@virga/contract/rest/operations';
import { defineCommand } from '../../command.ts';
import { eachBounded } from '../../each-bounded.ts';
import { findOperation } from '../../lookup.ts';
import { makeChanges } from '../../operations/make-changes.ts';
import { reportChanges } from '../../operations/report-changes.ts';

export const waitForOperations = defineCommand({
  meta: {
    path: 'operations wait',
    summary: 'Wait until operations have ended, showing progress',
    details: 'The exit code is that of the first one that failed. Ctrl-C ends the wait only; the operations go on.',
    section: 'Watching',
  },
  args: { operations: { summary: 'ids', variadic: true, complete: 'operation' } },
  options: {},
  examples: [{ command: 'virga operations wait op-0a1b2c3d4e5f60718', explains: 'until it has succeeded or failed' }],
  async run(context, { args }) {
    const client = await context.client();
    const found = await eachBounded([...new Set(args.operations)], 8, (id) => findOperation(client, id));
    const describe = ({ kind, state }: Operation) => `${kind} ${state}`;
    const changes = found.map((operation) => ({
      name: operation.resourceName,
      request: async () => ({ operationId: operation.id, resource: operation }),
      afterwards: ({ id }: Operation) => client.getOperation({ params: { id }, query: {} }),
      done: describe,
    }));
    const outcomes = await makeChanges(context, changes, true);
    const words = { noun: 'operation', requested: '', done: describe };
    return reportChanges(context, outcomes, words, { waited: true, many: true });
  },
});
