import { defineCommand } from '../command.ts';
import { findInstance } from '../lookup.ts';

export const xml = defineCommand({
  meta: { path: 'xml', summary: 'Show the domain XML of an instance, as libvirt has it now', section: 'Instances' },
  args: { instance: { summary: 'name or id', complete: 'instance' } },
  options: {},
  examples: [{ command: 'virga xml web', explains: 'what virsh dumpxml would show' }],
  async run(context, { args }) {
    const client = await context.client();
    const { id } = await findInstance(client, args.instance);
    const answer = await client.getInstanceXml({ params: { id } });
    if (context.print.format === 'table')
      context.print.write(answer.xml.endsWith('\n') ? answer.xml : `${answer.xml}\n`);
    else await context.print.result(answer, [], []);
    return 0;
  },
});
