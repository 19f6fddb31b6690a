import { VirgaError } from '@virga/contract/errors';
import { isId } from '@virga/contract/ids';
import { defineCommand } from '../../command.ts';
import { findInstance } from '../../lookup.ts';

export const removeSchedule = defineCommand({
  meta: { path: 'schedule remove', summary: 'Take a schedule from an instance', section: 'Instances' },
  args: {
    instance: { summary: 'name or id', complete: 'instance' },
    schedule: { summary: 'its id, as virga schedule list shows it' },
  },
  options: {},
  examples: [{ command: 'virga schedule remove web sched-0123456789abcdef0', explains: 'no longer by the clock' }],
  async run(context, { args }) {
    const client = await context.client();
    const { id, name } = await findInstance(client, args.instance);
    const { schedule } = args;
    if (!isId('schedule', schedule)) {
      throw new VirgaError('NotFound', {
        detail: `${schedule} is not the id of a schedule.`,
        action: `virga schedule list ${name} shows what there is.`,
      });
    }
    await client.deleteSchedule({ params: { id, scheduleId: schedule } });
    await context.print.result({ id: schedule, removed: true }, [`schedule ${schedule}: removed`], [schedule]);
    return 0;
  },
});
