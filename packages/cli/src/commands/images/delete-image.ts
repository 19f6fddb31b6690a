import { defineCommand } from '../../command.ts';
import { findImage } from '../../lookup.ts';
import { deleteNamed } from '../delete-named.ts';
import { waitOption, yesOption } from '../shared-options.ts';

export const deleteImage = defineCommand({
  meta: { path: 'images delete', summary: 'Delete images that no instance is cloned from', section: 'Resources' },
  args: { images: { summary: 'names or ids', variadic: true, complete: 'image' } },
  options: { yes: yesOption, wait: waitOption },
  examples: [{ command: 'virga images delete old-debian', explains: 'asks first' }],
  run: (context, { args, options }) =>
    deleteNamed(context, 'image', args.images, options, {
      find: findImage,
      question: (names) => `Delete image ${names}?`,
      call: (client, id) => client.deleteImage({ params: { id } }),
    }),
});
