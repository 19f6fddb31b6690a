import type { Project } from '@virga/contract/rest/identity';
import { defineCommand } from '../../command.ts';
import { listAll } from '../../list-all.ts';
import { formatAge } from '../../output/format.ts';
import type { Column } from '../../output/table.ts';

export const listProjects = defineCommand({
  meta: { path: 'projects list', summary: 'List the projects that you may see', section: 'Access', groupDefault: true },
  args: {},
  options: {},
  examples: [{ command: 'virga projects', explains: 'what --project can name' }],
  async run(context) {
    const client = await context.client();
    const items = await listAll((query) => client.listProjects({ query }));
    const columns: Column<Project>[] = [
      { header: 'NAME', value: (item) => item.name, essential: true },
      { header: 'ID', value: (item) => item.id, essential: true },
      { header: 'AGE', value: (item) => formatAge(item.createdAt, context.nowMs()), whole: true },
      { header: 'DESCRIPTION', value: (item) => item.description },
    ];
    const none = 'There is no project that you may see. An administrator makes one with virga projects create NAME.';
    await context.print.list(items, columns, (item) => item.id, none);
    return 0;
  },
});
