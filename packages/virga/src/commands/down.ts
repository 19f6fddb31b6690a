import { defineCommand } from '@virga/cli/command';
import { stateOption } from './state-option.ts';

export const down = defineCommand({
  meta: {
    path: 'down',
    summary: 'Stop the cloud of this machine; with --purge, delete it',
    details:
      'Stops the server and its database, and libvirtd when script/up started it and no guest runs. Instances go on, and ' +
      'virsh still shows them; script/up finds them again. With --purge everything is deleted that the cloud made: ' +
      'instances with their disks, networks, images, the login of the command line and the state folder.',
    section: 'This machine',
  },
  args: {},
  options: {
    state: stateOption,
    purge: { type: 'flag', summary: 'delete all instances, networks and images, and the state' },
    yes: { type: 'flag', summary: 'do not ask before deleting' },
  },
  examples: [
    { command: 'script/down', explains: 'stops the server' },
    { command: 'script/down --purge', explains: 'asks, then leaves the machine as if the cloud had never been' },
  ],
  async run(context, { options }) {
    const [{ resolve }, { runDown }] = await Promise.all([import('node:path'), import('../down/run-down.ts')]);
    await runDown(context, { ...options, state: resolve(options.state) });
    return 0;
  },
});
