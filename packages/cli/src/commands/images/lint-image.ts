import { errorRegistry, VirgaError } from '@virga/contract/errors';
import { defineCommand } from '../../command.ts';
import { findImage, findInstance } from '../../lookup.ts';
import { lintLines } from './lint-view.ts';

export const lintImage = defineCommand({
  meta: {
    path: 'images lint',
    summary: 'Look into an image, or an instance that is off, for what a good template has and has not',
    details:
      'Each finding says what was read and where, why it matters, and what sealing would do. Nothing is started, mounted or ' +
      'changed. The root has to be ext2, ext3 or ext4. The exit code is 8 while a failure stands.',
    section: 'Resources',
  },
  args: { image: { summary: 'name or id', optional: true, complete: 'image' } },
  options: {
    instance: { type: 'text', value: 'INSTANCE', summary: 'look into its root disk instead', complete: 'instance' },
  },
  examples: [
    { command: 'virga images lint starter', explains: 'what is well, and what is not' },
    { command: 'virga images lint --instance web', explains: 'before an image is made of it' },
    { command: 'virga images lint golden --output json', explains: 'for a pipeline' },
  ],
  async run(context, { args, options }) {
    if ((args.image === undefined) === (options.instance === undefined)) {
      throw new VirgaError('InvalidArgument', {
        detail: args.image === undefined ? 'Nothing to look into was named.' : 'An image and an instance were named.',
        action: 'Name an image, or an instance with --instance.',
      });
    }
    const client = await context.client();
    const report =
      args.image === undefined
        ? await client.lintInstance({ params: { id: (await findInstance(client, options.instance ?? '')).id } })
        : await client.lintImage({ params: { id: (await findImage(client, args.image)).id } });
    const troubles = report.findings.filter(({ verdict }) => verdict !== 'ok').map(({ id }) => id);
    await context.print.result(report, lintLines(report, context.print.terminal), troubles);
    const fails = report.findings.some(({ verdict }) => verdict === 'failure');
    return fails ? errorRegistry.OperationFailed.exit : 0;
  },
});
