import type { KeyPair } from '@virga/contract/rest/key-pairs';
import { defineCommand } from '../../command.ts';
import { readConfig } from '../../config/config-file.ts';
import { listAll } from '../../list-all.ts';
import { formatAge } from '../../output/format.ts';
import type { Column } from '../../output/table.ts';

export const listKeys = defineCommand({
  meta: { path: 'keys list', summary: 'List the key pairs of the project', section: 'Resources', groupDefault: true },
  args: {},
  options: {},
  examples: [{ command: 'virga keys', explains: 'keys, and where the private half is on this machine' }],
  async run(context) {
    const client = await context.client();
    const items = await listAll((query) => client.listKeyPairs({ query }));
    const { identities } = await readConfig(context.io.env);
    const columns: Column<KeyPair>[] = [
      { header: 'NAME', value: (item) => item.name, essential: true },
      { header: 'ID', value: (item) => item.id, essential: true },
      { header: 'AGE', value: (item) => formatAge(item.createdAt, context.nowMs()), whole: true },
      { header: 'FINGERPRINT', value: (item) => item.fingerprint },
      { header: 'PRIVATE KEY HERE', value: (item) => identities[item.fingerprint] ?? '-' },
    ];
    const none = 'There is no key pair. Make one with virga keys create NAME.';
    await context.print.list(items, columns, (item) => item.id, none);
    return 0;
  },
});
