import { VirgaError } from '@virga/contract/errors';
import type { UpdateInstance } from '@virga/contract/rest/instance-attributes';
import { defineCommand } from '../command.ts';
import { attributeOptions, readAttributes } from './instance-attribute-options.ts';
import { changeInstances, findInstances } from './instance-change.ts';
import { filterOptions, instancesArgument } from './instance-filter.ts';

export const set = defineCommand({
  meta: {
    path: 'set',
    summary: 'Change description, tags and policies of instances',
    details: 'What is not given stays as it is. Nothing is interrupted.',
    section: 'Instances',
  },
  args: { instances: instancesArgument },
  options: {
    ...attributeOptions,
    untag: { type: 'texts', value: 'KEY', summary: 'take this tag away; may be repeated' },
    noProtect: { type: 'flag', summary: 'let it be deleted again' },
    merge: { type: 'flag', summary: 'its memory may be merged again, as of its next start' },
    neverExpires: { type: 'flag', summary: 'no end of its lease' },
    tagged: { ...filterOptions.tag },
    state: filterOptions.state,
    all: filterOptions.all,
  },
  examples: [
    { command: 'virga set web --description "The shop" --tag env=prod --untag test', explains: 'says what it is for' },
    { command: 'virga set web --protect --autostart always', explains: 'keeps it, and keeps it on' },
    { command: 'virga set web --expires 8h --expiry-action delete', explains: 'is gone after eight hours' },
    { command: 'virga set --tagged env=test --expires 2030-01-31T18:00Z', explains: 'all of the test machines' },
  ],
  async run(context, { args, options }) {
    refuseBoth('--protect', options.protect, '--no-protect', options.noProtect);
    refuseBoth('--merge', options.merge, '--no-merge', options.noMerge);
    refuseBoth('--expires', options.expires !== undefined, '--never-expires', options.neverExpires);
    const { tags, ...attributes } = readAttributes(options, context.nowMs());
    const untagged = Object.fromEntries(options.untag.map((key) => [key, null]));
    const body: UpdateInstance = {
      ...attributes,
      ...((tags || options.untag.length > 0) && { tags: { ...tags, ...untagged } }),
      ...(options.noProtect && { deleteProtection: false }),
      ...(options.merge && { noMerge: false }),
      ...(options.neverExpires && { expiresAt: null }),
    };
    if (Object.keys(body).length === 0) {
      throw new VirgaError('InvalidArgument', {
        detail: 'Nothing to set was given.',
        action: 'virga set --help shows what can be set.',
      });
    }
    const { tagged: tag, state, all } = options;
    return changeInstances(context, await findInstances(context, args.instances, { tag, state, all }), {
      requested: 'set',
      wait: false,
      call: (client, { id }) => client.updateInstance({ params: { id }, body }),
    });
  },
});

function refuseBoth(one: string, isOne: boolean, other: string, isOther: boolean): void {
  if (!isOne || !isOther) return;
  throw new VirgaError('InvalidArgument', {
    detail: `${one} and ${other} were both given.`,
    action: 'Give one of them.',
  });
}
