import { defineCommand } from '../../command.ts';
import { changeConfig } from '../../config/config-file.ts';
import { unknownProfile } from '../../config/settings.ts';

export const useProfile = defineCommand({
  meta: { path: 'profiles use', summary: 'Choose the login that is used by default', section: 'Access' },
  args: { name: { summary: 'name of the profile', complete: 'profile' } },
  options: {},
  examples: [{ command: 'virga profiles use lab', explains: 'virga list now asks the lab' }],
  async run(context, { args }) {
    let server = '';
    await changeConfig(context.io.env, (config) => {
      const profile = Object.hasOwn(config.profiles, args.name) ? config.profiles[args.name] : undefined;
      if (!profile) throw unknownProfile(args.name, Object.keys(config.profiles));
      server = profile.server;
      config.currentProfile = args.name;
    });
    await context.print.result({ profile: args.name, server }, [`now using ${args.name} at ${server}`], [args.name]);
    return 0;
  },
});
