import { defineCommand } from '../../command.ts';
import { changeInstances, findInstances } from '../instance-change.ts';
import { waitOption } from '../shared-options.ts';
import { forceOption } from './force-option.ts';

export const ejectDisc = defineCommand({
  meta: {
    path: 'cdrom eject',
    summary: 'Eject what is in the CD-ROM drive of instances',
    details:
      'The drive stays. A guest that has mounted the disc locks the tray: the operation then waits until it lets go, or ' +
      '--force opens the tray under it.',
    section: 'Devices',
  },
  args: { instances: { summary: 'names or ids', variadic: true, complete: 'instance' } },
  options: { force: forceOption, wait: waitOption },
  examples: [{ command: 'virga cdrom eject web --wait', explains: 'waits until the guest has let go of it' }],
  async run(context, { args, options: { force, wait } }) {
    return changeInstances(context, await findInstances(context, args.instances), {
      requested: 'ejection requested',
      done: 'its drive is empty',
      wait,
      call: (client, { id }) =>
        client.changeCdrom({ params: { id }, body: { image: null, ...(force ? { force } : {}) } }),
    });
  },
});
