import { defineCommand } from '../../command.ts';
import { idempotent } from '../../idempotent.ts';
import { waitOption } from '../shared-options.ts';
import { visibilityForAdmins } from './image-options.ts';
import { orderImage } from './order-image.ts';

export const pullImage = defineCommand({
  meta: {
    path: 'images pull',
    summary: 'Import an official image by its name in the catalog',
    details:
      'A host downloads it, goes on where it was when the connection breaks, and compares its checksum with the list of its ' +
      'maker, and who has signed that, where there is a signature and the key is here. See virga images catalog.',
    section: 'Resources',
  },
  args: { image: { summary: 'name in the catalog, such as debian-12' } },
  options: {
    name: { type: 'text', value: 'NAME', summary: 'what to call it; default its name in the catalog' },
    arch: {
      type: 'text',
      value: 'ARCH',
      choices: ['amd64', 'arm64'],
      summary: 'for these machines; default those of the hosts',
    },
    visibility: visibilityForAdmins,
    wait: waitOption,
  },
  examples: [{ command: 'virga images pull debian-12 --wait', explains: 'then: virga launch web --image debian-12' }],
  async run(context, { args, options }) {
    const client = await context.client();
    const { name, arch, visibility } = options;
    const body = {
      source: { catalog: args.image, ...(arch && { architecture: arch }) },
      ...(name !== undefined && { name }),
      ...(visibility && { visibility }),
    };
    const ask = () => idempotent((sent) => client.importImage({ body }, sent));
    return orderImage(context, name ?? args.image, options.wait, ask, 'import requested');
  },
});
