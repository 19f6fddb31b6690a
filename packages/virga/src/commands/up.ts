import { defineCommand } from '@virga/cli/command';
import { stateOption } from './state-option.ts';

export const up = defineCommand({
  meta: {
    path: 'up',
    summary: 'Make this machine a cloud, or bring its cloud up again',
    details:
      'Needs root, and the packages that script/setup installs; script/up does both. Prepares the machine, starts the ' +
      'server with its database, registers the starter image, makes a network and an SSH key, and launches a first ' +
      'instance. May be run at any time: it does what is missing, and after an upgrade it restarts the server. Instances ' +
      'are never interrupted.',
    section: 'This machine',
  },
  args: {},
  options: {
    state: stateOption,
    port: {
      type: 'integer',
      value: 'PORT',
      summary: 'where the API listens; default as before, at first 8470',
      minimum: 1,
      maximum: 65_535,
    },
    starterImage: {
      type: 'text',
      value: 'FILE',
      summary: 'a qcow2 file to register as the starter image instead of building one',
    },
    noInstance: { type: 'flag', summary: 'do not launch the first instance' },
    yes: { type: 'flag', summary: 'do not ask before changing the machine' },
    plan: { type: 'flag', summary: 'only show what would be done' },
  },
  examples: [
    { command: 'script/up', explains: 'shows what it would do, asks, and does it' },
    { command: 'script/up --yes', explains: 'for scripts' },
    { command: 'script/up --port 9000', explains: 'moves the API to another port' },
  ],
  async run(context, { options }) {
    const [{ resolve }, { runUp }] = await Promise.all([import('node:path'), import('../up/run-up.ts')]);
    await runUp(context, { ...options, state: resolve(options.state) });
    return 0;
  },
});
