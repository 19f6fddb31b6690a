import { InstanceState } from '@virga/contract/rest/instances';
import { defineCommand } from '../command.ts';
import { listAll } from '../list-all.ts';
import { findHost } from '../lookup.ts';
import { instanceColumns } from './instance-view.ts';

const states = InstanceState.anyOf.map((state) => state.const);

export const list = defineCommand({
  meta: { path: 'list', summary: 'List the instances of the project', section: 'Instances', alias: 'instances' },
  args: {},
  options: {
    state: { type: 'text', value: 'STATE', choices: states, summary: 'only those in this state' },
    host: { type: 'text', value: 'HOST', summary: 'only those on this host', complete: 'host' },
  },
  examples: [
    { command: 'virga list', explains: 'all of them' },
    { command: 'virga list --state running --output json', explains: 'the running ones, for a program' },
    { command: 'virga delete $(virga list --quiet --state error)', explains: 'deletes what failed' },
  ],
  async run(context, { options }) {
    const client = await context.client();
    const host = options.host === undefined ? undefined : await findHost(client, options.host);
    const filter = { ...(options.state ? { state: options.state } : {}), ...(host ? { hostId: host.id } : {}) };
    const items = await listAll((query) => client.listInstances({ query: { ...query, ...filter } }));
    const columns = instanceColumns(items, context.nowMs());
    await context.print.list(items, columns, (item) => item.id, 'There is no instance. Launch one with virga launch.');
    return 0;
  },
});
