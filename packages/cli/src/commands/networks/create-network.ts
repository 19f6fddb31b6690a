import { defineCommand } from '../../command.ts';
import { idempotent } from '../../idempotent.ts';
import { changeOne } from '../../operations/change-one.ts';
import { visibilityOption, waitOption } from '../shared-options.ts';

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
    visibility: visibilityOption,
    wait: waitOption,
  },
  examples: [
    { command: 'virga networks create lab --cidr 10.90.0.0/24 --wait', explains: 'waits until it can be used' },
  ],
  async run(context, { args, options }) {
    const client = await context.client();
    const { cidr, visibility } = options;
    const body = { name: args.name, cidr, ...(visibility === undefined ? {} : { visibility }) };
    return changeOne(context, 'network', {
      ...{ name: args.name, wait: options.wait, requested: 'creation requested' },
      request: () => idempotent((request) => client.createNetwork({ body }, request)),
      afterwards: ({ id }) => client.getNetwork({ params: { id } }),
      done: ({ state }) => state,
    });
  },
});
