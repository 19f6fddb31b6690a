import { defineCommand } from '../../command.ts';
import { readConfig } from '../../config/config-file.ts';
import type { Column } from '../../output/table.ts';

type ListedProfile = {
  name: string;
  server: string;
  project: string | null;
  accessKeyId: string | null;
  current: boolean;
};

const columns: Column<ListedProfile>[] = [
  { header: 'NAME', value: (item) => item.name, essential: true },
  { header: 'CURRENT', value: (item) => (item.current ? 'yes' : ''), whole: true },
  { header: 'SERVER', value: (item) => item.server, essential: true },
  { header: 'PROJECT', value: (item) => item.project ?? '-' },
  { header: 'ACCESS KEY ID', value: (item) => item.accessKeyId ?? '-' },
];

export const listProfiles = defineCommand({
  meta: {
    path: 'profiles list',
    summary: 'List the logins that this machine remembers',
    details: 'Secrets are not shown. No server is asked.',
    section: 'Access',
    groupDefault: true,
  },
  args: {},
  options: {},
  examples: [{ command: 'virga profiles', explains: 'what --profile can name' }],
  async run(context) {
    const { profiles, currentProfile } = await readConfig(context.io.env);
    const items = Object.entries(profiles).map(([name, { server, project, accessKeyId }]) => ({
      name,
      server,
      project: project ?? null,
      accessKeyId: accessKeyId ?? null,
      current: name === currentProfile,
    }));
    await context.print.list(items, columns, (item) => item.name, 'No login is remembered. Run virga login.');
    return 0;
  },
});
