import { defineCommand } from '../../command.ts';
import { findImage } from '../../lookup.ts';

export const cancelImport = defineCommand({
  meta: {
    path: 'images cancel-import',
    summary: 'Cancel the import of an image; nothing of it stays',
    section: 'Resources',
  },
  args: { image: { summary: 'name or id', complete: 'image' } },
  options: {},
  examples: [{ command: 'virga images cancel-import debian-12', explains: 'while it is being downloaded or sent' }],
  async run(context, { args }) {
    const client = await context.client();
    const { id } = await findImage(client, args.image);
    const image = await client.cancelImageImport({ params: { id } });
    await context.print.result(image, [`The import of image ${image.name} is being cancelled.`], [image.id]);
    return 0;
  },
});
