import type { ImageBuild } from '@virga/contract/rest/image-build';
import { defineCommand } from '../../command.ts';
import { findImage } from '../../lookup.ts';
import { lintLines } from './lint-view.ts';

export const buildRecord = defineCommand({
  meta: {
    path: 'images build-record',
    summary: 'Show how an image was made: of what, with which packages, what sealing did',
    details: 'With --output json it has the recipe and the version of every package, to build the same again.',
    section: 'Resources',
  },
  args: { image: { summary: 'name or id', complete: 'image' } },
  options: {},
  examples: [{ command: 'virga images build-record debian-12 --output json', explains: 'recipe, sources, versions' }],
  async run(context, { args }) {
    const client = await context.client();
    const { id, name } = await findImage(client, args.image);
    const build = await client.getImageBuild({ params: { id } });
    const { record } = build;
    const lines = [
      `${name} was made of ${madeOf(build)}${build.seal ? ', and sealed' : ''}.`,
      ...(record === null ? ['It is still being made.'] : []),
      ...(record?.sources ?? []).map((source) => `  ${source}`),
      ...(record?.packages.length ? [`${record.packages.length} packages: ${namedPackages(record.packages)}`] : []),
      ...(record?.sealed ?? []).map((done) => `  ${done}`),
      ...(record ? ['', ...lintLines(record.report, context.print.terminal)] : []),
    ];
    await context.print.result(build, lines, [id]);
    return 0;
  },
});

function madeOf({ from }: ImageBuild): string {
  if (from.kind === 'image') return `the image ${from.imageId}`;
  if (from.kind === 'instance') return `the disk of the instance ${from.instanceId}`;
  return `a recipe for ${from.recipe.base.distribution} ${from.recipe.base.suite}`;
}

const shownPackages = 5;
function namedPackages(packages: readonly { name: string; version: string }[]): string {
  const shown = packages.slice(0, shownPackages).map(({ name, version }) => `${name} ${version}`);
  return packages.length > shownPackages ? `${shown.join(', ')}, …` : shown.join(', ');
}
