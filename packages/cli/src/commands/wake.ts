// Wakes instances. To the server it is a start; here it is refused for what has nothing to be woken from, so that nobody takes a
// boot from disk for it.
import { VirgaError } from '@virga/contract/errors';
import type { Instance } from '@virga/contract/rest/instances';
import { defineCommand } from '../command.ts';
import { changeInstances, findInstances } from './instance-change.ts';
import { filterOptions, instancesArgument } from './instance-filter.ts';
import { waitForGuestOption } from './shared-options.ts';

export const wake = defineCommand({
  meta: {
    path: 'wake',
    summary: 'Let hibernated instances go on where they were',
    details: 'The same as virga start, but for an instance that would boot from its disk: that is refused.',
    section: 'Instances',
  },
  args: { instances: instancesArgument },
  options: { ...filterOptions, wait: waitForGuestOption },
  examples: [
    { command: 'virga wake web --wait', explains: 'waits until it goes on' },
    { command: 'virga wake --state hibernated', explains: 'all that hibernate' },
  ],
  async run(context, { args, options }) {
    const instances = await findInstances(context, args.instances, options);
    for (const instance of instances) requireSavedMemory(instance);
    return changeInstances(context, instances, {
      requested: 'wake requested',
      wait: options.wait,
      call: (client, { id }) => client.startInstance({ params: { id } }),
    });
  },
});

/** @throws Conflict */
function requireSavedMemory({ name, state }: Instance): void {
  if (state !== 'stopped' && state !== 'paused') return;
  throw new VirgaError('Conflict', {
    detail: `Instance ${name} is ${state}, not hibernated.`,
    action: state === 'paused' ? `Let it go on: virga resume ${name}.` : `Boot it from its disk: virga start ${name}.`,
  });
}
