import { defineCommand } from '@virga/cli/command';
import { stateOption } from './state-option.ts';

export const recover = defineCommand({
  meta: {
    path: 'recover',
    summary: 'Rebuild a lost database from the domains, networks and images of this machine',
    details:
      'Needs root, a stopped server and a database without instances, networks and images; an administrator and projects ' +
      'that a new server made are replaced. Instances are taken as they are: nothing is restarted or changed on the machine. ' +
      'What only the database knew is lost: users and their keys, user data, operations and events. Start the cloud with script/up afterwards.',
    section: 'This machine',
  },
  args: {},
  options: {
    state: stateOption,
    cloud: { type: 'text', value: 'ID', summary: 'which cloud, when the machine has things of several' },
    yes: { type: 'flag', summary: 'do not ask before writing' },
  },
  examples: [
    { command: 'virga recover', explains: 'shows what it found, asks, and writes it into the database' },
    { command: 'virga recover --cloud 5f0a9c2e4b7d1836 --yes', explains: 'for scripts' },
  ],
  async run(context, { options }) {
    const [{ resolve }, { runRecover }] = await Promise.all([import('node:path'), import('../recover/run-recover.ts')]);
    await runRecover(context, { ...options, state: resolve(options.state) });
    return 0;
  },
});
