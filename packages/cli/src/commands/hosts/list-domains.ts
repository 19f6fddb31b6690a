import type { ForeignDomain } from '@virga/contract/agent/foreign';
import { defineCommand } from '../../command.ts';
import { eachBounded } from '../../each-bounded.ts';
import { listAll } from '../../list-all.ts';
import { findHost } from '../../lookup.ts';
import { formatMib, stateStyle } from '../../output/format.ts';
import type { Column } from '../../output/table.ts';

type Found = ForeignDomain & { host: string };

const columns: Column<Found>[] = [
  { header: 'NAME', value: (item) => item.name, essential: true },
  { header: 'UUID', value: (item) => item.uuid },
  { header: 'STATE', value: (item) => item.state, whole: true, style: (item) => stateStyle(item.state) },
  { header: 'VCPU', value: (item) => String(item.vcpus), whole: true },
  { header: 'MEMORY', value: (item) => formatMib(item.memoryMib), whole: true },
  { header: 'PERSISTENT', value: (item) => (item.persistent ? 'yes' : 'no'), whole: true },
  { header: 'HOST', value: (item) => item.host },
];

export const listDomains = defineCommand({
  meta: {
    path: 'hosts domains',
    summary: 'List the domains of hosts that are no instances, such as virga adopt takes over',
    section: 'Resources',
  },
  args: { host: { summary: 'name or id; default every host', optional: true, complete: 'host' } },
  options: {},
  examples: [{ command: 'virga hosts domains', explains: 'what was made with virsh or virt-manager' }],
  async run(context, { args }) {
    const client = await context.client();
    const hosts =
      args.host === undefined
        ? await listAll((query) => client.listHosts({ query }))
        : [await findHost(client, args.host)];
    const lists = await eachBounded(hosts, 8, async ({ id, name }) => {
      const { items } = await client.listForeignDomains({ params: { id } });
      return items.map((item) => ({ ...item, host: name }));
    });
    const items = lists.flat();
    await context.print.list(items, columns, (item) => item.uuid, 'There is no domain that is no instance.');
    return 0;
  },
});
