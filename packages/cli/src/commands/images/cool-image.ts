import { defineCommand } from '../../command.ts';
import { findImage } from '../../lookup.ts';
import { warmImageColumns } from './warm-image-view.ts';

export const coolImage = defineCommand({
  meta: {
    path: 'images cool',
    summary: 'Keep no running guest of an image any more',
    details: 'Launches begin cold again. Instances that began as copies stay as they are. Needs the cloud role admin.',
    section: 'Resources',
  },
  args: { image: { summary: 'name or id', complete: 'image' } },
  options: {
    type: { type: 'text', value: 'TYPE', summary: 'that of this type only; default all', complete: 'type' },
  },
  examples: [{ command: 'virga images cool starter', explains: 'its memory is given back at once' }],
  async run(context, { args, options: { type } }) {
    const client = await context.client();
    const { id } = await findImage(client, args.image);
    const { items } = await client.coolImage({ params: { id }, body: type === undefined ? {} : { type } });
    const columns = warmImageColumns(items, context.nowMs());
    await context.print.list(items, columns, (item) => item.id, 'No guest of the image is kept.');
    return 0;
  },
});
