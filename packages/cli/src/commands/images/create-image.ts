import { defineCommand } from '../../command.ts';
import { idempotent } from '../../idempotent.ts';
import { findInstance } from '../../lookup.ts';
import { waitOption } from '../shared-options.ts';
import { orderImage } from './order-image.ts';

export const createImage = defineCommand({
  meta: {
    path: 'images create',
    summary: 'Make an image of an instance that is off',
    details:
      'Its root disk is copied whole, with the size that it has; login user and smallest memory are those of its image. With --seal ' +
      'the image has nothing of the instance that is of one machine alone; the instance itself stays as it is.',
    section: 'Resources',
  },
  args: { name: { summary: 'what to call the image' } },
  options: {
    from: { type: 'text', value: 'INSTANCE', summary: 'name or id', required: true, complete: 'instance' },
    seal: { type: 'flag', summary: 'take out what is of one machine alone: see virga images seal' },
    wait: waitOption,
  },
  examples: [
    {
      command: 'virga images create golden --from web --seal --wait',
      explains: 'a template of web, which has been stopped before',
    },
  ],
  async run(context, { args, options }) {
    const client = await context.client();
    const { id } = await findInstance(client, options.from);
    const { name } = args;
    const body = { name, ...(options.seal && { seal: true }) };
    return orderImage(context, name, options.wait, () =>
      idempotent((request) => client.createImage({ params: { id }, body }, request)),
    );
  },
});
