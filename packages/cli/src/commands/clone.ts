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
    summary: 'Make another instance of the disks of one, that runs or not',
    details:
      'The clone has a name, addresses, an identity and an empty TPM of its own; cloud-init in it makes new host keys. It rests on the ' +
      'original, takes no time, and keeps the original from being deleted; with --full it is a copy that needs nothing else. ' +
      'Its volumes are copies of those of the original, of the same moment and at the same places. ' +
      'What the guest itself keeps of who it is, such as licences or passwords, the clone has too: seal such a disk first.',
    section: 'Instances',
  },
  args: {
    instance: { summary: 'name or id', complete: 'instance' },
    name: { summary: 'of the clone: lower-case letters, digits and hyphens' },
  },
  options: {
    full: { type: 'flag', summary: 'copy the root disk, which takes its time and its room' },
    'without-volumes': { type: 'flag', summary: 'leave its volumes out' },
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
    { command: 'virga clone web bare --without-volumes', explains: 'its root disk alone' },
  ],
  async run(context, { args, options }) {
    const { full, snapshot, stopped, wait } = options;
    const client = await context.client();
    const { id, tpm } = await findInstance(client, args.instance);
    const { name } = args;
    const body = {
      name,
      ...(full ? { full } : {}),
      ...(snapshot === undefined ? {} : { snapshot }),
      ...(options['without-volumes'] && { volumes: false }),
      ...(stopped ? { start: false } : {}),
    };
    return changeOne(context, 'instance', {
      ...{ name, wait, requested: 'clone requested' },
      request: async () => {
        const { instanceId, operationId } = await idempotent((request) =>
          client.cloneInstance({ params: { id }, body }, request),
        );
        if (tpm) context.print.note(`The TPM of ${name} is a new one, which is empty.`);
        return { operationId, instance: { id: instanceId } as Made };
      },
      afterwards: ({ id: made }) => client.getInstance({ params: { id: made } }),
      done: ({ state }) => state ?? 'cloned',
    });
  },
});
