import { defineCommand } from '../../command.ts';
import { findSnapshot } from '../../lookup.ts';
import { makeChanges } from '../../operations/make-changes.ts';
import { reportChanges } from '../../operations/report-changes.ts';
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
    const change = {
      name: snapshot.name,
      request: async () => {
        const answer = await client.revertSnapshot({ params: { id: snapshot.id }, body });
        return { operationId: answer.operationId, resource: answer.snapshot };
      },
      done: () => `${snapshot.instanceName} is as it has kept it`,
    };
    const outcomes = await makeChanges(context, [change], wait);
    const words = { noun: 'snapshot', requested: 'revert requested', done: change.done };
    return reportChanges(context, outcomes, words, { waited: wait, many: false });
  },
});
