import { defineCommand } from '../command.ts';
import { listAll } from '../list-all.ts';
import { findHost } from '../lookup.ts';
import { stateOption, tagOption } from './instance-filter.ts';
import { instanceColumns } from './instance-view.ts';

export const list = defineCommand({
  meta: { path: 'list', summary: 'List the instances of the project', section: 'Instances', alias: 'instances' },
  args: {},
  options: {
    tag: tagOption,
    state: stateOption,
    host: { type: 'text', value: 'HOST', summary: 'only those on this host', complete: 'host' },
    tags: { type: 'flag', summary: 'show the tags too' },
  },
  examples: [
    { command: 'virga list', explains: 'all of them' },
    { command: 'virga list --state running --output json', explains: 'the running ones, for a program' },
    { command: 'virga list --tag env=test --tags', explains: 'those with this tag, with all their tags' },
  ],
  async run(context, { options }) {
    const client = await context.client();
    const host = options.host === undefined ? undefined : await findHost(client, options.host);
    const { state, tag, tags } = options;
    const filter = {
      ...(state ? { state } : {}),
      ...(tag.length > 0 ? { tag } : {}),
      ...(host ? { hostId: host.id } : {}),
    };
    const items = await listAll((query) => client.listInstances({ query: { ...query, ...filter } }));
    const columns = instanceColumns(items, context.nowMs(), { tags });
    await context.print.list(items, columns, (item) => item.id, 'There is no instance. Launch one with virga launch.');
    return 0;
  },
});
