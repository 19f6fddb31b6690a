import { defineCommand } from '../../command.ts';
import { idempotent } from '../../idempotent.ts';
import { changeOne } from '../../operations/change-one.ts';
import { readSize } from '../../size.ts';
import { waitOption } from '../shared-options.ts';
import { formatOption, preallocationOption } from './volume-options.ts';

export const createVolume = defineCommand({
  meta: {
    path: 'volumes create',
    summary: 'Create a volume, empty or as a copy of an image or of what a snapshot keeps',
    details:
      'A volume lies on one host, unless several see its pool, and only instances there can have it: put it beside the ' +
      'instance that is to have it; one that is made from a snapshot lies on the host of that, and rests on nothing afterwards. ' +
      'It takes as much as was written to it, unless --preallocation says otherwise.',
    section: 'Resources',
  },
  args: { name: { summary: 'lower-case letters, digits and hyphens' } },
  options: {
    size: {
      type: 'text',
      value: 'SIZE',
      summary: 'such as 20GiB; without a unit in GiB; default that of the image or disk',
    },
    type: { type: 'text', value: 'TYPE', summary: 'the volume type: virga volume-types' },
    pool: { type: 'text', value: 'POOL', summary: 'the pool that it lies in: virga pools', complete: 'pool' },
    image: { type: 'text', value: 'IMAGE', summary: 'what is in it at first', complete: 'image' },
    snapshot: {
      type: 'text',
      value: 'SNAPSHOT',
      summary: 'it is a copy of a disk as this snapshot keeps it: virga snapshots',
      complete: 'snapshot',
    },
    disk: {
      type: 'text',
      value: 'DISK',
      summary: 'which disk of the snapshot, such as vdc or the name of its volume; default the root disk',
    },
    linked: { type: 'flag', summary: 'it rests on the image, which stays as long, instead of being a copy' },
    format: formatOption,
    preallocation: preallocationOption,
    encrypted: { type: 'flag', summary: 'encrypted with a key of its own (LUKS)' },
    unencrypted: { type: 'flag', summary: 'not encrypted, also where its type or what it is a copy of is' },
    protect: { type: 'flag', summary: 'it cannot be deleted until that is taken away' },
    instance: { type: 'text', value: 'INSTANCE', summary: 'put it beside this instance', complete: 'instance' },
    host: {
      type: 'text',
      value: 'HOST',
      summary: 'put it on this host; default the one with most free storage',
      complete: 'host',
    },
    scratch: { type: 'flag', summary: 'what is on it may be lost: no backups, and any cache mode; for good' },
    wait: waitOption,
  },
  examples: [
    {
      command: 'virga volumes create data --size 20GiB --instance web --wait && virga attach web data',
      explains: 'a disk more for web',
    },
    {
      command: 'virga volumes create copy --image debian-12 --size 40GiB --pool fast',
      explains: 'a copy of an image, in a pool of its own',
    },
    {
      command: 'virga volumes create rescued --snapshot before-upgrade --disk data --wait',
      explains: 'what was on the volume data then',
    },
  ],
  async run(context, { args: { name }, options }) {
    const { size, instance, host, scratch, wait, type, pool, image, snapshot, disk, linked } = options;
    const { format, preallocation } = options;
    const client = await context.client();
    const body = {
      name,
      ...(size !== undefined && { sizeGib: readSize('--size', size, 'GiB') }),
      ...(type !== undefined && { type }),
      ...(pool !== undefined && { pool }),
      ...(image !== undefined && { image }),
      ...(snapshot !== undefined && { snapshot }),
      ...(disk !== undefined && { disk }),
      ...(linked && { clone: 'linked' as const }),
      ...(format !== undefined && { format }),
      ...(preallocation !== undefined && { preallocation }),
      ...((options.encrypted || options.unencrypted) && { encrypted: options.encrypted }),
      ...(options.protect && { deletionProtection: true }),
      ...(instance === undefined ? {} : { instance }),
      ...(host === undefined ? {} : { host }),
      ...(scratch ? { scratch } : {}),
    };
    return changeOne(context, 'volume', {
      ...{ name, wait, requested: 'creation requested' },
      request: () => idempotent((request) => client.createVolume({ body }, request)),
      afterwards: ({ id }) => client.getVolume({ params: { id } }),
      done: ({ state }) => state,
    });
  },
});
