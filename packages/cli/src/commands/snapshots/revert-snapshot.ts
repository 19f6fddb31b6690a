import { defineCommand } from '../../command.ts';
import { findSnapshot } from '../../lookup.ts';
import { changeOne } from '../../operations/change-one.ts';
import { confirmDestruction } from '../../prompts.ts';
import { waitOption, yesOption } from '../shared-options.ts';

export const revertSnapshot = defineCommand({
  meta: {
    path: 'snapshots revert',
    summary: 'Put an instance back to a snapshot; what was written since is lost',
    details:
      'The instance must be off, or is stopped and started for it with --restart. Other snapshots stay, also later ones. ' +
      'With --keep-current how it is now is kept as a snapshot first. A snapshot with memory lets the guest go on from there.',
    section: 'Resources',
  },
  args: { snapshot: { summary: 'name or id', complete: 'snapshot' } },
  options: {
    restart: { type: 'flag', summary: 'stop the instance for it when it is on, and start it again' },
    keepCurrent: { type: 'flag', summary: 'take a snapshot of how it is now first' },
    yes: yesOption,
    wait: waitOption,
  },
  examples: [
    { command: 'virga snapshots revert before-upgrade --restart --wait', explains: 'asks first' },
    { command: 'virga snapshots revert before-upgrade --keep-current', explains: 'nothing is lost' },
  ],
  async run(context, { args, options: { restart, keepCurrent, yes, wait } }) {
    const client = await context.client();
    const snapshot = await findSnapshot(client, args.snapshot);
    if (!keepCurrent) {
      const question = `Put instance ${snapshot.instanceName} back to ${snapshot.name}, and lose what was written since?`;
      await confirmDestruction(context, question, yes);
    }
    const body = { ...(restart ? { restart } : {}), ...(keepCurrent ? { keepCurrent } : {}) };
    return changeOne(context, 'snapshot', {
      ...{ name: snapshot.name, wait, requested: 'revert requested' },
      request: () => client.revertSnapshot({ params: { id: snapshot.id }, body }),
      done: () => `${snapshot.instanceName} is as it has kept it`,
    });
  },
});
