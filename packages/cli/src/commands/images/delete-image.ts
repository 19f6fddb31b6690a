import { defineCommand } from '../../command.ts';
import { eachBounded } from '../../each-bounded.ts';
import { findImage } from '../../lookup.ts';
import { makeChanges } from '../../operations/make-changes.ts';
import { reportChanges } from '../../operations/report-changes.ts';
import { confirmDestruction } from '../../prompts.ts';
import { waitOption, yesOption } from '../shared-options.ts';

export const deleteImage = defineCommand({
  meta: { path: 'images delete', summary: 'Delete images that no instance is cloned from', section: 'Resources' },
  args: { images: { summary: 'names or ids', variadic: true, complete: 'image' } },
  options: { yes: yesOption, wait: waitOption },
  examples: [{ command: 'virga images delete old-debian', explains: 'asks first' }],
  async run(context, { args, options }) {
    const client = await context.client();
    const images = await eachBounded([...new Set(args.images)], 8, (name) => findImage(client, name));
    const names = images.map(({ name }) => name).join(', ');
    await confirmDestruction(context, `Delete image ${names}?`, options.yes);
    const changes = images.map(({ id, name }) => ({
      name,
      request: async () => {
        const answer = await client.deleteImage({ params: { id } });
        return { operationId: answer.operationId, resource: answer.image };
      },
      done: () => 'deleted',
    }));
    const outcomes = await makeChanges(context, changes, options.wait);
    const words = { noun: 'image', requested: 'deletion requested', done: () => 'deleted' };
    return reportChanges(context, outcomes, words, { waited: options.wait, many: true });
  },
});
