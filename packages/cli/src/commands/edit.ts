import type { Client } from '@virga/contract/client';
import { VirgaError } from '@virga/contract/errors';
import type { Instance } from '@virga/contract/rest/instances';
import { defineCommand } from '../command.ts';
import type { CommandContext } from '../context.ts';
import { readGivenFile } from '../given-file.ts';
import { findInstance } from '../lookup.ts';
import { changeOne } from '../operations/change-one.ts';
import { confirm } from '../prompts.ts';
import { describe } from './instance-change.ts';
import { waitOption } from './shared-options.ts';

type Edit = { xml: string } | { changes: [] };

export const edit = defineCommand({
  meta: {
    path: 'edit',
    summary: 'Edit the domain XML of an instance, as virsh edit does; the changes are kept over what Virga generates',
    details:
      'Opens the definition in the editor that VISUAL or EDITOR names, else vi. libvirt checks the outcome, with its schema ' +
      'and by itself, before anything is changed; then the difference is shown, and you are asked. It is in the definition at ' +
      'once, and in the guest when it starts next. Needs the cloud role admin: a definition can reach every file of the host.',
    section: 'Beside virsh',
  },
  args: { instance: { summary: 'name or id', complete: 'instance' } },
  options: {
    file: { type: 'text', value: 'FILE', complete: 'file', summary: 'take the definition from a file; no editor' },
    reset: { type: 'flag', summary: 'take every change away: the definition is as it is generated' },
    restart: { type: 'flag', summary: 'restart the guest, if it runs, so that it has it at once' },
    yes: { type: 'flag', summary: 'do not ask before changing' },
    wait: waitOption,
  },
  examples: [
    { command: 'EDITOR=nano virga edit web', explains: 'then shows the difference and asks' },
    { command: 'virga edit web --file web.xml --restart --yes --wait', explains: 'for scripts' },
    { command: 'virga edit web --reset', explains: 'back to what Virga generates' },
  ],
  async run(context, { args, options }) {
    if (options.reset && options.file !== undefined) {
      throw new VirgaError('InvalidArgument', {
        detail: '--file and --reset were both given.',
        action: 'Give one of them.',
      });
    }
    const client = await context.client();
    const instance = await findInstance(client, args.instance);
    const edited = options.reset
      ? await planned(client, instance, { changes: [] })
      : options.file === undefined
        ? await editedByHand(context, client, instance)
        : await planned(client, instance, { xml: await readGivenFile(options.file) });
    if (edited === undefined || edited.diff === '') {
      context.print.note('Nothing was changed.');
      return 0;
    }
    context.print.note(edited.diff);
    await confirm(context, 'Change the definition like this?', options.yes);
    return send(context, client, instance, edited.body, options);
  },
});

type Planned = { body: Edit; diff: string };

async function planned(client: Client, { id, generation }: Instance, body: Edit): Promise<Planned> {
  const request = { ifMatch: generation };
  const { diff } = await client.setOverlay({ params: { id }, body: { ...body, dryRun: true } }, request);
  return { body, diff };
}

/** Opens the editor, and again when the outcome cannot be used. Undefined: nothing was changed. */
async function editedByHand(context: CommandContext, client: Client, instance: Instance): Promise<Planned | undefined> {
  const { openEditor } = await import('../editor.ts');
  const { effective } = await client.getDefinition({ params: { id: instance.id } });
  for (let text = effective; ; ) {
    text = await openEditor(context, text, `${instance.name}.xml`);
    if (text === effective) return undefined;
    try {
      return await planned(client, instance, { xml: text });
    } catch (error) {
      if (!(error instanceof VirgaError) || error.code !== 'InvalidArgument') throw error;
      context.print.note(`${error.detail} ${error.action}`);
      await confirm(context, 'Edit it again?', false);
    }
  }
}

async function send(
  context: CommandContext,
  client: Client,
  instance: Instance,
  body: Edit,
  { restart, wait }: { restart: boolean; wait: boolean },
): Promise<number> {
  return changeOne(context, 'instance', {
    ...{ name: instance.name, wait, requested: 'definition changed' },
    request: async () => {
      const answer = await client.setOverlay(
        { params: { id: instance.id }, body: { ...body, ...(restart && { restart }) } },
        { ifMatch: instance.generation },
      );
      return { operationId: answer.operationId!, instance };
    },
    afterwards: ({ id }) => client.getInstance({ params: { id } }),
    done: describe,
  });
}
