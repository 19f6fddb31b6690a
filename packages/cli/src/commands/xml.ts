import { defineCommand } from '../command.ts';
import { findInstance } from '../lookup.ts';

export const xml = defineCommand({
  meta: { path: 'xml', summary: 'Show the domain XML of an instance, as libvirt has it now', section: 'Beside virsh' },
  args: { instance: { summary: 'name or id', complete: 'instance' } },
  options: {
    generated: { type: 'flag', summary: 'what Virga generates, without the changes of virga edit' },
    diff: { type: 'flag', summary: 'what virga edit, or somebody beside Virga, has changed of that' },
  },
  examples: [
    { command: 'virga xml web', explains: 'what virsh dumpxml would show' },
    { command: 'virga xml web --diff', explains: 'in what it is not as it was generated' },
  ],
  async run(context, { args, options }) {
    const client = await context.client();
    const { id } = await findInstance(client, args.instance);
    const print = async (answer: object, text: string) => {
      if (context.print.format !== 'table') await context.print.result(answer, [], []);
      else context.print.write(text === '' || text.endsWith('\n') ? text : `${text}\n`);
    };
    if (options.generated || options.diff) {
      const definition = await client.getDefinition({ params: { id } });
      for (const conflict of definition.conflicts) context.print.note(conflict);
      await print(definition, options.diff ? definition.diff : definition.generated);
      return 0;
    }
    const answer = await client.getInstanceXml({ params: { id } });
    await print(answer, answer.xml);
    return 0;
  },
});
