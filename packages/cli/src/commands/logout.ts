import { VirgaError } from '@virga/contract/errors';
import { defineCommand } from '../command.ts';
import { changeConfig, readConfig } from '../config/config-file.ts';

export const logout = defineCommand({
  meta: {
    path: 'logout',
    summary: 'Forget how to sign in',
    details:
      'Takes the profile out of the configuration. An API key that virga login made with a password is revoked as well; ' +
      'one that was given with --access-key-id stays valid.',
    section: 'Access',
  },
  args: {},
  options: {},
  examples: [{ command: 'virga logout', explains: 'forgets the current profile' }],
  async run(context) {
    const { io, globals, print } = context;
    const config = await readConfig(io.env);
    const name = globals.profile ?? (io.env.VIRGA_PROFILE || config.currentProfile);
    const profile = config.profiles[name];
    if (!profile) {
      await print.result({ profile: name, signedOut: false }, [`there is no profile ${name}: nothing to forget`], []);
      return 0;
    }
    let revoked = false;
    if (profile.madeByLogin && profile.accessKeyId) {
      const { createClient } = await import('@virga/contract/client');
      try {
        await createClient({ ...profile, timeoutMs: 5000 }).deleteApiKey({
          params: { accessKeyId: profile.accessKeyId },
        });
        revoked = true;
      } catch (error) {
        if (!(error instanceof VirgaError)) throw error;
        print.note(`  the API key ${profile.accessKeyId} could not be revoked: ${error.detail}`);
      }
    }
    await changeConfig(io.env, (fresh) => {
      delete fresh.profiles[name];
      if (fresh.currentProfile === name) fresh.currentProfile = Object.keys(fresh.profiles)[0] ?? 'default';
    });
    const line = `signed out of ${profile.server}${revoked ? ' and revoked the API key' : ''}`;
    await print.result({ profile: name, signedOut: true, revoked }, [line], []);
    return 0;
  },
});
