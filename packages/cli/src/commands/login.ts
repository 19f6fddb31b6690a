import { createClient } from '@virga/contract/client';
import { VirgaError } from '@virga/contract/errors';
import { defineCommand } from '../command.ts';
import { changeConfig, configPath, type Profile } from '../config/config-file.ts';
import { defaultServer, serverUrl } from '../config/settings.ts';
import type { CommandContext } from '../context.ts';
import { askSecret, askText, secretFromStdin } from '../prompts.ts';

export const login = defineCommand({
  meta: {
    path: 'login',
    summary: 'Sign in, and remember it in a profile',
    details:
      'With --access-key-id, the secret comes from standard input, from VIRGA_SECRET_ACCESS_KEY or from a prompt. Otherwise user name and password are exchanged ' +
      'for an API key of your own, which virga logout revokes. The profile becomes the one that is used by default.',
    section: 'Access',
  },
  args: {},
  options: {
    accessKeyId: { type: 'text', value: 'ID', summary: 'id of an API key to sign in with' },
    secretStdin: { type: 'flag', summary: 'read the secret of the API key from standard input' },
    user: { type: 'text', value: 'NAME', summary: 'user name; asked for by default' },
    passwordStdin: { type: 'flag', summary: 'read the password from standard input' },
  },
  examples: [
    { command: 'virga login --server http://127.0.0.1:8470', explains: 'asks for user name and password' },
    { command: 'virga login --access-key-id VKABC… --secret-stdin < secret', explains: 'with an API key' },
    {
      command: 'virga login --profile lab --server https://lab.example',
      explains: 'a second cloud; use it with --profile lab',
    },
  ],
  async run(context, { options }) {
    const { io, globals } = context;
    const server = serverUrl(globals.server ?? (io.env.VIRGA_SERVER || defaultServer));
    const profileName = globals.profile ?? (io.env.VIRGA_PROFILE || 'default');
    if (options.accessKeyId && (options.user || options.passwordStdin)) throw bothWays();
    const profile = options.accessKeyId
      ? await withApiKey(context, server, options.accessKeyId, options.secretStdin)
      : await withPassword(context, server, options.user, options.passwordStdin);
    const caller = await createClient(profile).getCaller();
    await changeConfig(io.env, (config) => {
      config.profiles[profileName] = profile;
      config.currentProfile = profileName;
    });
    const project = caller.project?.name;
    await context.print.result(
      { profile: profileName, server, user: caller.user, project: caller.project },
      [`signed in at ${server} as ${caller.user.name}${project ? `, project ${project}` : ''}`],
      [caller.user.id],
    );
    context.print.note(`  profile ${profileName} is kept in ${configPath(io.env)}`);
    return 0;
  },
});

async function withApiKey(
  context: CommandContext,
  server: string,
  accessKeyId: string,
  stdin: boolean,
): Promise<Profile> {
  const secret = stdin
    ? await secretFromStdin(context, '--secret-stdin')
    : context.io.env.VIRGA_SECRET_ACCESS_KEY ||
      (await askSecret(context, 'The secret of the API key', '--secret-stdin and pipe it in'));
  const { project } = context.globals;
  return { server, accessKeyId, secret, ...(project ? { project } : {}) };
}

async function withPassword(
  context: CommandContext,
  server: string,
  givenUser: string | undefined,
  stdin: boolean,
): Promise<Profile> {
  const user = givenUser ?? (await askText(context, 'User name', '--user NAME, or --access-key-id ID'));
  const password = stdin
    ? await secretFromStdin(context, '--password-stdin')
    : await askSecret(context, 'Password', '--password-stdin and pipe it in');
  const { project } = context.globals;
  const { apiKey, secret } = await createClient({ server }).login({
    body: { user, password, ...(project ? { project } : {}) },
  });
  return {
    server,
    accessKeyId: apiKey.accessKeyId,
    secret,
    ...(project ? { project } : {}),
    madeByLogin: true,
  };
}

function bothWays(): VirgaError {
  return new VirgaError('InvalidArgument', {
    detail: 'An API key and a user name were given.',
    action: 'Sign in with one of them: --access-key-id, or --user.',
  });
}
