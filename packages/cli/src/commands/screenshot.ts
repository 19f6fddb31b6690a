import { writeFile } from 'node:fs/promises';
import { VirgaError } from '@virga/contract/errors';
import { defineCommand } from '../command.ts';
import { findInstance } from '../lookup.ts';
import { formatBytes } from '../output/format.ts';

export const screenshot = defineCommand({
  meta: { path: 'screenshot', summary: 'Take a picture of the screen of an instance', section: 'Consoles and guests' },
  args: {
    instance: { summary: 'name or id', complete: 'instance' },
    file: { summary: 'where to write the PNG; default standard output', optional: true, complete: 'file' },
  },
  options: {},
  examples: [
    { command: 'virga screenshot web web.png', explains: 'why it does not boot' },
    { command: 'virga screenshot web | chafa', explains: 'to a program' },
  ],
  async run(context, { args }) {
    const { io, print } = context;
    const toStdout = args.file === undefined || args.file === '-';
    if (toStdout && io.stdout.isTTY) {
      throw new VirgaError('InvalidArgument', {
        detail: 'A picture cannot be shown on a terminal.',
        action: `Name a file: virga screenshot ${args.instance} ${args.instance}.png.`,
      });
    }
    const client = await context.client();
    const { id } = await findInstance(client, args.instance);
    const { mediaType, data } = await client.getScreenshot({ params: { id } });
    const bytes = Buffer.from(data, 'base64');
    if (toStdout) {
      if (print.format === 'table') io.stdout.write(bytes);
      else await print.result({ mediaType, data }, [], []);
      return 0;
    }
    await writeFile(args.file!, bytes);
    const written = { path: args.file, mediaType, sizeBytes: bytes.length };
    await print.result(written, [`${args.file}: ${formatBytes(bytes.length)}`], [args.file!]);
    return 0;
  },
});
