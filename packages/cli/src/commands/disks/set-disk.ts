import { VirgaError } from '@virga/contract/errors';
import type { Instance } from '@virga/contract/rest/instances';
import { defineCommand } from '../../command.ts';
import { diskDriverOptions, readDiskDriver } from '../disk-driver-options.ts';
import { changeInstances, findInstances } from '../instance-change.ts';
import { diskOf } from '../instance-parts.ts';
import { waitOption } from '../shared-options.ts';

export const setDisk = defineCommand({
  meta: {
    path: 'disks set',
    summary: 'Say how a disk of an instance is read and written on its host',
    details:
      'What is left out stays as it is; --default forgets what was said before. A disk is opened when its instance is started, ' +
      'so one that runs has the change from its next start on, or at once with --restart. The cache mode writeback is refused ' +
      'where a power cut could take acknowledged data back: virga hosts disks shows where.',
    section: 'Devices',
  },
  args: {
    instance: { summary: 'name or id', complete: 'instance' },
    disk: { summary: 'root, or the name, id or place of a volume', complete: 'volume' },
  },
  options: {
    ...diskDriverOptions,
    default: { type: 'flag', summary: 'as the host does it best and safely' },
    restart: { type: 'flag', summary: 'shut it down and start it with the change' },
    wait: waitOption,
  },
  examples: [
    { command: 'virga disks set web root --cache writethrough', explains: 'from its next start on' },
    { command: 'virga disks set db data --aio io_uring --io-thread --restart --wait', explains: 'now' },
    { command: 'virga disks set db data --default', explains: 'as it was' },
  ],
  async run(context, { args: { instance, disk }, options: { default: forget, restart, wait, ...options } }) {
    const asked = readDiskDriver(options);
    if (forget === (asked !== undefined)) throw nothingOrBoth(forget);
    return changeInstances(context, await findInstances(context, [instance]), {
      requested: `driver of ${disk} requested`,
      done: `${disk} is set`,
      wait,
      call: async (client, found) => {
        const volumeId = diskOf(found, disk);
        const driver = forget ? {} : { ...driverOf(found, volumeId), ...asked };
        const body = { driver, ...(restart ? { restart } : {}) };
        return client.setDiskDriver({ params: { id: found.id, volumeId }, body });
      },
    });
  },
});

const driverOf = ({ rootDiskId, rootDiskDriver, volumes }: Instance, id: string) =>
  (id === rootDiskId ? rootDiskDriver : volumes.find((volume) => volume.id === id)?.driver) ?? {};

const nothingOrBoth = (forget: boolean) =>
  new VirgaError('InvalidArgument', {
    detail: forget ? '--default forgets all that was said, and something was said too.' : 'Nothing to set was given.',
    action: 'Give --cache, --aio, --discard or --io-thread, or --default.',
  });
