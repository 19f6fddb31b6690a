import { defineCommand } from '../../command.ts';
import { changeInstances, findInstances } from '../instance-change.ts';
import { diskOf } from '../instance-parts.ts';
import { diskLimitOptions, noneOption, readDiskLimits, requireOne } from '../limit-options.ts';
import { waitOption } from '../shared-options.ts';

export const limitDiskCommand = defineCommand({
  meta: {
    path: 'limit disk',
    summary: 'Limit the rate of a disk of an instance, while it runs',
    details: 'Reading and writing count together. What is given replaces all limits that the disk has.',
    section: 'Devices',
  },
  args: {
    instance: { summary: 'name or id', complete: 'instance' },
    disk: { summary: 'root, or the name, id or place of a volume', complete: 'volume' },
  },
  options: { ...diskLimitOptions, none: noneOption, wait: waitOption },
  examples: [
    { command: 'virga limit disk web data --bps 20M --burst-bps 100M --burst-seconds 30', explains: 'with bursts' },
    { command: 'virga limit disk web root --none', explains: 'as fast as the storage is' },
  ],
  async run(context, { args: { instance, disk }, options: { none, wait, ...options } }) {
    const body = readDiskLimits(options);
    requireOne(body, none);
    return changeInstances(context, await findInstances(context, [instance]), {
      requested: `limits of ${disk} requested`,
      done: none ? `${disk} is not limited` : `${disk} is limited`,
      wait,
      call: async (client, found) =>
        client.limitDisk({ params: { id: found.id, volumeId: diskOf(found, disk) }, body }),
    });
  },
});
