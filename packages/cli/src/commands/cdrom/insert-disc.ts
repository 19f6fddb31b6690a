import { defineCommand } from '../../command.ts';
import { restartOption } from '../hardware-options.ts';
import { changeInstances, findInstances } from '../instance-change.ts';
import { waitOption } from '../shared-options.ts';
import { forceOption } from './force-option.ts';

export const insertDisc = defineCommand({
  meta: {
    path: 'cdrom insert',
    summary: 'Insert an ISO image into the CD-ROM drive of an instance',
    details:
      'What lies in the drive is taken out. An instance that was launched with a drive gets the disc while it runs; ' +
      'another one gets a drive when it is stopped, or with --restart.',
    section: 'Devices',
  },
  args: {
    instance: { summary: 'name or id', complete: 'instance' },
    image: { summary: 'name or id of an image of kind iso', complete: 'image' },
  },
  options: { force: forceOption, restart: restartOption, wait: waitOption },
  examples: [{ command: 'virga cdrom insert web tools --wait', explains: 'waits until the guest can read it' }],
  async run(context, { args: { instance, image }, options: { force, restart, wait } }) {
    const body = { image, ...(force ? { force } : {}), ...(restart ? { restart } : {}) };
    return changeInstances(context, await findInstances(context, [instance]), {
      requested: 'insertion requested',
      done: `${image} is in its drive`,
      wait,
      call: (client, { id }) => client.changeCdrom({ params: { id }, body }),
    });
  },
});
