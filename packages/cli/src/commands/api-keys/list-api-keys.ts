import type { ApiKey } from '@virga/contract/rest/identity';
import { defineCommand } from '../../command.ts';
import { formatAge } from '../../output/format.ts';
import type { Column } from '../../output/table.ts';

export const listApiKeys = defineCommand({
  meta: { path: 'api-keys list', summary: 'List your API keys', section: 'Access', groupDefault: true },
  args: {},
  options: {},
  examples: [{ command: 'virga api-keys', explains: 'what you can sign in with' }],
  async run(context) {
    const { accessKeyId } = await context.settings();
    const { items } = await (await context.client()).listApiKeys();
    const nowMs = context.nowMs();
    const columns: Column<ApiKey>[] = [
      { header: 'ACCESS KEY ID', value: (item) => item.accessKeyId, essential: true },
      { header: 'PROJECT', value: (item) => item.projectId ?? '-', whole: true },
      { header: 'AGE', value: (item) => formatAge(item.createdAt, nowMs), whole: true },
      { header: 'EXPIRES', value: (item) => item.expiresAt ?? 'never' },
      { header: 'IN USE', value: (item) => (item.accessKeyId === accessKeyId ? 'now, here' : '') },
      { header: 'DESCRIPTION', value: (item) => item.description },
    ];
    const none = 'You have no API key. Make one with virga api-keys create.';
    await context.print.list(items, columns, (item) => item.accessKeyId, none);
    return 0;
  },
});
