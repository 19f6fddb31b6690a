import { defineCommand } from '../../command.ts';
import { idempotent } from '../../idempotent.ts';
import { findImage } from '../../lookup.ts';
import { waitOption } from '../shared-options.ts';
import { orderImage } from './order-image.ts';

export const sealImage = defineCommand({
  meta: {
    path: 'images seal',
    summary: 'Make a sealed copy of an image',
    details:
      'Takes out what is of one machine alone (machine id, host keys, keys and passwords of people, logs, histories, leases, swap, ' +
      'settings of network cards) and turns on what copies need (serial console, guest agent, TRIM), as far as that can be done ' +
      'without starting it. Images never change, so the copy is a new one. What was done is shown by virga images build-record.',
    section: 'Resources',
  },
  args: { image: { summary: 'name or id', complete: 'image' } },
  options: {
    name: { type: 'text', value: 'NAME', summary: 'what to call the copy', required: true },
    wait: waitOption,
  },
  examples: [
    {
      command: 'virga images seal golden --name golden-sealed --wait',
      explains: 'see before what it would do: virga images lint golden',
    },
  ],
  async run(context, { args, options }) {
    const client = await context.client();
    const { id } = await findImage(client, args.image);
    const { name, wait } = options;
    return orderImage(context, name, wait, () =>
      idempotent((request) => client.sealImage({ params: { id }, body: { name } }, request)),
    );
  },
});
