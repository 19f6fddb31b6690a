import { chordOf } from '@virga/contract/agent/key-codes';
import { VirgaError } from '@virga/contract/errors';
import { maxChords } from '@virga/contract/rest/instance-instruments';
import { defineCommand } from '../command.ts';
import { findInstance } from '../lookup.ts';

export const sendKey = defineCommand({
  meta: {
    path: 'send-key',
    summary: 'Press keys on the keyboard of an instance',
    details: 'Keys joined by + are held together. Text is typed as on a keyboard of the United States.',
    section: 'Consoles and guests',
  },
  args: {
    instance: { summary: 'name or id', complete: 'instance' },
    keys: { summary: 'such as ctrl+alt+delete or f1', variadic: true, optional: true },
  },
  options: { text: { type: 'text', value: 'TEXT', summary: 'type this first' } },
  examples: [
    { command: 'virga send-key web ctrl+alt+delete', explains: 'as at its keyboard' },
    { command: "virga send-key web --text 'root' enter", explains: 'types a name and ends the line' },
  ],
  async run(context, { args, options }) {
    const keys = [...typed(options.text ?? ''), ...(args.keys ?? [])];
    if (keys.length === 0) {
      throw new VirgaError('InvalidArgument', {
        detail: 'There is nothing to press.',
        action: 'Name keys, such as enter, or give --text.',
        field: '/keys',
      });
    }
    const client = await context.client();
    const { id, name } = await findInstance(client, args.instance);
    for (let from = 0; from < keys.length; from += maxChords) {
      await client.sendKeys({ params: { id }, body: { keys: keys.slice(from, from + maxChords) } });
    }
    await context.print.result({ id, name, keys: keys.length }, [`${keys.length} pressed on ${name}.`], [id]);
    return 0;
  },
});

function typed(text: string): string[] {
  return [...text].map((character) => {
    const chord = chordOf(character);
    if (chord !== undefined) return chord;
    throw new VirgaError('InvalidArgument', {
      detail: `The keyboard has no key for ${character}.`,
      action: 'Leave it out, or write it by virga exec or virga cp.',
      field: '/text',
    });
  });
}
