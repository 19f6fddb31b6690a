import { VirgaError } from '@virga/contract/errors';
import type { UpdateVolume } from '@virga/contract/rest/volumes';
import { defineCommand } from '../../command.ts';
import type { CommandContext } from '../../context.ts';
import { findVolume } from '../../lookup.ts';
import { changeOne } from '../../operations/change-one.ts';

export const setVolume = defineCommand({
  meta: { path: 'volumes set', summary: 'Protect a volume from being deleted, or no longer', section: 'Resources' },
  args: { volume: { summary: 'name or id', complete: 'volume' } },
  options: {
    protect: { type: 'flag', summary: 'it cannot be deleted from now on' },
    noProtect: { type: 'flag', summary: 'let it be deleted again' },
  },
  examples: [{ command: 'virga volumes set data --protect', explains: 'nobody deletes it by mistake' }],
  async run(context, { args, options: { protect, noProtect } }) {
    if (protect === noProtect) {
      throw new VirgaError('InvalidArgument', {
        detail: protect ? '--protect and --no-protect were both given.' : 'Nothing to set was given.',
        action: 'Give --protect or --no-protect.',
      });
    }
    return updateOne(context, args.volume, { deletionProtection: protect }, 'set');
  },
});

export const renameVolume = defineCommand({
  meta: { path: 'volumes rename', summary: 'Give a volume another name', section: 'Resources' },
  args: {
    volume: { summary: 'name or id', complete: 'volume' },
    name: { summary: 'lower-case letters, digits and hyphens' },
  },
  options: {},
  examples: [{ command: 'virga volumes rename data archive', explains: 'data is called archive from now on' }],
  run: (context, { args }) => updateOne(context, args.volume, { name: args.name }, `renamed to ${args.name}`),
});

async function updateOne(
  context: CommandContext,
  nameOrId: string,
  body: UpdateVolume,
  requested: string,
): Promise<number> {
  const client = await context.client();
  const { id, name } = await findVolume(client, nameOrId);
  return changeOne(context, 'volume', {
    ...{ name, wait: false, requested },
    request: () => client.updateVolume({ params: { id }, body }),
    done: () => requested,
  });
}
