import { defineCommand } from '../../command.ts';
import { idempotent } from '../../idempotent.ts';
import { makeChanges } from '../../operations/make-changes.ts';
import { reportChanges } from '../../operations/report-changes.ts';
import { waitOption } from '../shared-options.ts';

export const createNetwork = defineCommand({
  meta: {
    path: 'networks create',
    summary: 'Create a provider network',
    details: 'Guests reach out through the host, which translates their addresses. Needs the cloud role admin.',
    section: 'Resources',
  },
  args: { name: { summary: 'lower-case letters, digits and hyphens' } },
  options: {
    cidr: { type: 'text', value: 'RANGE', summary: 'IPv4 range, such as 10.77.0.0/24', required: true },
    visibility: {
      type: 'text',
      value: 'WHO',
      choices: ['private', 'public'],
      summary: 'the project only, or every project',
    },
    wait: waitOption,
  },
  examples: [
    { command: 'virga networks create lab --cidr 10.90.0.0/24 --wait', explains: 'waits until it can be used' },
  ],
  async run(context, { args, options }) {
    const client = await context.client();
    const { cidr, visibility } = options;
    const body = { name: args.name, cidr, ...(visibility === undefined ? {} : { visibility }) };
    const change = {
      name: args.name,
      request: async () => {
        const answer = await idempotent((request) => client.createNetwork({ body }, request));
        return { operationId: answer.operationId, resource: answer.network };
      },
      afterwards: ({ id }: { id: `net-${string}` }) => client.getNetwork({ params: { id } }),
      done: ({ state }: { state: string }) => state,
    };
    const outcomes = await makeChanges(context, [change], options.wait);
    const words = { noun: 'network', requested: 'creation requested', done: change.done };
    return reportChanges(context, outcomes, words, { waited: options.wait, many: false });
  },
});
