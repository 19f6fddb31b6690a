import { defineCommand } from '../../command.ts';
import { listAll } from '../../list-all.ts';
import { imageColumns } from './image-view.ts';

export const listImages = defineCommand({
  meta: {
    path: 'images list',
    summary: 'List the images of the project and the public ones',
    section: 'Resources',
    groupDefault: true,
  },
  args: {},
  options: {},
  examples: [{ command: 'virga images', explains: 'what can be launched' }],
  async run(context) {
    const client = await context.client();
    const items = await listAll((query) => client.listImages({ query }));
    const columns = imageColumns(items, context.nowMs());
    await context.print.list(
      items,
      columns,
      (item) => item.id,
      'There is no image. Add one with virga images register.',
    );
    return 0;
  },
});
