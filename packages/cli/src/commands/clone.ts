import type { Instance } from '@virga/contract/rest/instances';
import { defineCommand } from '../command.ts';
import { idempotent } from '../idempotent.ts';
import { findInstance } from '../lookup.ts';
import { changeOne } from '../operations/change-one.ts';
import { waitOption } from './shared-options.ts';

type Made = { id: Instance['id'] } & Partial<Instance>;

export const clone = defineCommand({
  meta: {
    path: 'clone',
    summary: 'Make another instance of the root disk of one, that runs or not',
    details:
      'The clone has a name, addresses and an identity of its own; cloud-init in it makes new host keys. It rests on the ' +
      'original, takes no time, and keeps the original from being deleted; with --full it is a copy that needs nothing else. ' +
      'What the guest itself keeps of who it is, such as licences or passwords, the clone has too: seal such a disk first.',
    section: 'Instances',
  },
  args: {
    instance: { summary: 'name or id', complete: 'instance' },
    name: { summary: 'of the clone: lower-case letters, digits and hyphens' },
  },
  options: {
    full: { type: 'flag', summary: 'copy the disk, which takes its time and its room' },
    snapshot: {
      type: 'text',
      value: 'SNAPSHOT',
      summary: 'clone how it was then; default how it is now',
      complete: 'snapshot',
    },
    stopped: { type: 'flag', summary: 'do not start it' },
    wait: waitOption,
  },
  examples: [
    { command: 'virga clone web web-test --wait', explains: 'a second one to try things out' },
    { command: 'virga clone web archive --full --stopped', explains: 'a copy that needs nothing else' },
  ],
  async run(context, { args, options: { full, snapshot, stopped, wait } }) {
    const client = await context.client();
    const { id } = await findInstance(client, args.instance);
    const { name } = args;
    const body = {
      name,
      ...(full ? { full } : {}),
      ...(snapshot === undefined ? {} : { snapshot }),
      ...(stopped ? { start: false } : {}),
    };
    return changeOne(context, 'instance', {
      ...{ name, wait, requested: 'clone requested' },
      request: async () => {
        const { instanceId, operationId } = await idempotent((request) =>
          client.cloneInstance({ params: { id }, body }, request),
        );
        return { operationId, instance: { id: instanceId } as Made };
      },
      afterwards: ({ id: made }) => client.getInstance({ params: { id: made } }),
      done: ({ state }) => state ?? 'cloned',
    });
  },
});
