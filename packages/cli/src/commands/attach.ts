import { defineCommand } from '../command.ts';
import { diskDriverOptions, readDiskDriver } from './disk-driver-options.ts';
import { changeInstances, findInstances } from './instance-change.ts';
import { diskLimitOptions, readDiskLimits } from './limit-options.ts';
import { waitOption } from './shared-options.ts';

export const attach = defineCommand({
  meta: {
    path: 'attach',
    summary: 'Attach a volume to an instance, while it runs',
    details:
      'The guest finds the disk by its serial: /dev/disk/by-id/virtio-vol…, the id of the volume without its dash. A volume ' +
      'is in one instance only.',
    section: 'Devices',
  },
  args: {
    instance: { summary: 'name or id', complete: 'instance' },
    volume: { summary: 'name or id', complete: 'volume' },
  },
  options: {
    readOnly: { type: 'flag', summary: 'the guest may not write to it' },
    ...diskLimitOptions,
    ...diskDriverOptions,
    wait: waitOption,
  },
  examples: [
    { command: 'virga attach web data --wait', explains: 'waits until the guest has it' },
    { command: 'virga attach web data --iops 500 --burst-iops 2000 --burst-seconds 10', explains: 'with limits' },
    {
      command: 'virga attach web cache --cache unsafe --io-thread',
      explains: 'a scratch volume, as fast as it can be',
    },
  ],
  async run(context, { args: { instance, volume }, options: { readOnly, wait, ...options } }) {
    const limits = readDiskLimits(options);
    const driver = readDiskDriver(options);
    const body = {
      volume,
      ...(readOnly ? { readOnly } : {}),
      ...(Object.keys(limits).length > 0 ? { limits } : {}),
      ...(driver === undefined ? {} : { driver }),
    };
    return changeInstances(context, await findInstances(context, [instance]), {
      requested: `attachment of ${volume} requested`,
      done: `has ${volume}`,
      wait,
      call: (client, { id }) => client.attachVolume({ params: { id }, body }),
    });
  },
});
