import { setTimeout as delay } from 'node:timers/promises';
import type { WarmImage } from '@virga/contract/rest/warm-images';
import { defineCommand } from '../../command.ts';
import { findImage } from '../../lookup.ts';
import { warmImageColumns } from './warm-image-view.ts';

const pollMs = 500;

export const warmImage = defineCommand({
  meta: {
    path: 'images warm',
    summary: 'Keep a running guest of an image, that launches begin as copies of; without IMAGE, list what is kept',
    details:
      'A guest is booted on every host, without a network card, and stopped in its tracks. Launches of the image and type then ' +
      'begin as copies of its memory, each with host keys, a machine id and random numbers of its own before anybody can reach ' +
      'it, in a fraction of a boot. The image must declare that its guests can be copied; starter does. Needs the cloud role admin.',
    section: 'Resources',
  },
  args: { image: { summary: 'name or id', optional: true, complete: 'image' } },
  options: {
    type: { type: 'text', value: 'TYPE', default: 'small', summary: 'for launches of this type', complete: 'type' },
    pool: {
      type: 'integer',
      value: 'N',
      default: 1,
      summary: 'copies that wait on each host',
      minimum: 0,
      maximum: 16,
    },
    wait: { type: 'flag', summary: 'wait until launches can begin from it' },
  },
  examples: [
    { command: 'virga images warm starter --type small --pool 2 --wait', explains: 'two copies wait from now on' },
    { command: 'virga images warm', explains: 'what is kept, and how many copies wait' },
  ],
  async run(context, { args, options }) {
    const client = await context.client();
    const list = async () => (await client.listWarmImages()).items;
    let items: WarmImage[];
    if (args.image === undefined) items = await list();
    else {
      const { id } = await findImage(client, args.image);
      const isAsked = ({ imageId, type, state }: WarmImage) =>
        imageId === id && type === options.type && state !== 'dropped';
      items = (await client.warmImage({ params: { id }, body: { type: options.type, pool: options.pool } })).items;
      while (options.wait && items.filter(isAsked).some((item) => isUnderWay(item))) {
        await delay(pollMs);
        items = (await list()).filter(({ imageId }) => imageId === id);
      }
    }
    const columns = warmImageColumns(items, context.nowMs());
    await context.print.list(items, columns, (item) => item.id, 'No guest is kept. See virga images warm --help.');
    return options.wait && items.some(({ state }) => state === 'failed') ? 1 : 0;
  },
});

const isUnderWay = ({ state, waiting, pool }: WarmImage): boolean =>
  state === 'pending' || (state === 'ready' && waiting < pool);
