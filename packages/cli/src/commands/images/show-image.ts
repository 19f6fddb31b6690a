import { defineCommand } from '../../command.ts';
import { findImage } from '../../lookup.ts';
import { imageRows } from './image-view.ts';

export const showImage = defineCommand({
  meta: { path: 'images show', summary: 'Show an image', section: 'Resources' },
  args: { image: { summary: 'name or id', complete: 'image' } },
  options: {},
  examples: [{ command: 'virga images show starter', explains: 'its size, format and checksum' }],
  async run(context, { args }) {
    const image = await findImage(await context.client(), args.image);
    await context.print.record(image, imageRows(image, context.nowMs()), image.id);
    return 0;
  },
});
