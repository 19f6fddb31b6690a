import { defineCommand } from '../../command.ts';
import { findImage } from '../../lookup.ts';
import { changeOne } from '../../operations/change-one.ts';
import { waitOption } from '../shared-options.ts';

export const shareImage = defineCommand({
  meta: {
    path: 'images share',
    summary: 'Share an image with every project, or keep it for its own again',
    details:
      'To share one needs the cloud role admin; to stop that, the role operator in its project. Instances that others have ' +
      'made of it go on.',
    section: 'Resources',
  },
  args: { image: { summary: 'name or id', complete: 'image' } },
  options: {
    stop: { type: 'flag', summary: 'keep it for its project' },
    wait: waitOption,
  },
  examples: [
    { command: 'virga images share debian-12', explains: 'every project can launch from it' },
    { command: 'virga images share debian-12 --stop', explains: 'only its own project can' },
  ],
  async run(context, { args, options }) {
    const client = await context.client();
    const { id, name } = await findImage(client, args.image);
    const visibility = options.stop ? ('private' as const) : ('public' as const);
    return changeOne(context, 'image', {
      ...{ name, wait: options.wait, requested: `${visibility} from now on` },
      request: () => client.updateImage({ params: { id }, body: { visibility } }),
      done: () => visibility,
    });
  },
});
