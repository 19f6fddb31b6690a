import { defineCommand } from '../../command.ts';
import { findInstance } from '../../lookup.ts';

export const freezeGuest = defineCommand({
  meta: {
    path: 'guest freeze',
    summary: 'Hold back all writes to the file systems of a guest for a while',
    details:
      'What is on its disks is consistent meanwhile, for a copy by other means. It goes on when it is thawed, and in any ' +
      'case when the time is over, also when the server was stopped.',
    section: 'Consoles and guests',
  },
  args: { instance: { summary: 'name or id', complete: 'instance' } },
  options: {
    timeout: {
      type: 'integer',
      value: 'SECONDS',
      summary: 'go on after this in any case',
      minimum: 1,
      maximum: 600,
      default: 60,
    },
  },
  examples: [{ command: 'virga guest freeze db --timeout 30', explains: 'for a copy of its disk' }],
  async run(context, { args, options }) {
    const client = await context.client();
    const { id, name } = await findInstance(client, args.instance);
    const frozen = await client.freezeGuest({ params: { id }, body: { timeoutSeconds: options.timeout } });
    await context.print.result(frozen, [`guest ${name}: frozen until ${frozen.frozenUntil}`], [id]);
    return 0;
  },
});
