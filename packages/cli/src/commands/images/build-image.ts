import { VirgaError } from '@virga/contract/errors';
import { defineCommand } from '../../command.ts';
import { idempotent } from '../../idempotent.ts';
import { visibilityOption, waitOption } from '../shared-options.ts';
import { orderImage } from './order-image.ts';
import { readRecipe } from './recipe-file.ts';

export const buildImage = defineCommand({
  meta: {
    path: 'images build',
    summary: 'Build an image of a recipe',
    details:
      'A recipe says in YAML what an image is made of: distribution, packages, files, commands, size. A host installs it into a ' +
      'folder without mounts or loop devices, makes a disk of it, seals it, and records the versions of its packages. The same ' +
      'recipe and the same packages make the same image. Commands of a recipe run on the host, as root of a user namespace that ' +
      'is nobody outside of it. Needs the cloud role admin.',
    section: 'Resources',
  },
  args: { recipe: { summary: 'file with the recipe', complete: 'file' } },
  options: {
    name: { type: 'text', value: 'NAME', summary: 'what to call it; default the name in the recipe' },
    host: { type: 'text', value: 'HOST', summary: 'where to build it; default the only one', complete: 'host' },
    visibility: visibilityOption,
    wait: waitOption,
  },
  examples: [
    {
      command: 'virga images build images/recipes/debian-12.yaml --wait',
      explains: 'the small Debian of this repository',
    },
    { command: 'virga images build web.yaml --name web-2', explains: 'under another name than the recipe has' },
  ],
  async run(context, { args, options }) {
    const client = await context.client();
    const { name: own, recipe } = await readRecipe(args.recipe);
    const name = options.name ?? own;
    if (name === undefined) {
      throw new VirgaError('InvalidArgument', {
        detail: 'The recipe has no name.',
        action: 'Add --name NAME, or a line `name:` to the recipe.',
        field: '/name',
      });
    }
    const { host, visibility } = options;
    const body = { name, recipe, ...(host && { host }), ...(visibility && { visibility }) };
    return orderImage(context, name, options.wait, () => idempotent((request) => client.buildImage({ body }, request)));
  },
});
