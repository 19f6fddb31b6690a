import { VirgaError } from '@virga/contract/errors';
import { cloudRoles } from '@virga/contract/route';
import { defineCommand } from '../../command.ts';
import type { CommandContext } from '../../context.ts';
import { idempotent } from '../../idempotent.ts';
import { askSecret, secretFromStdin } from '../../prompts.ts';

const shortestPassword = 12;

export const createUser = defineCommand({
  meta: {
    path: 'users create',
    summary: 'Create a user',
    details:
      'Needs the cloud role admin. The password is asked for, or read from standard input. A user without one signs in ' +
      'with API keys that an administrator makes: see virga api-keys create --user.',
    section: 'Access',
  },
  args: { name: { summary: 'lower-case letters, digits and hyphens' } },
  options: {
    passwordStdin: { type: 'flag', summary: 'read the password from standard input' },
    noPassword: { type: 'flag', summary: 'no password: API keys only' },
    cloudRole: {
      type: 'text',
      value: 'ROLE',
      choices: cloudRoles,
      summary: 'role for the whole cloud',
      default: 'none',
    },
  },
  examples: [
    { command: 'virga users create ann', explains: 'asks for a password' },
    { command: 'virga users create robot --no-password', explains: 'for a program' },
  ],
  async run(context, { args, options }) {
    const client = await context.client();
    const password = await passwordFor(context, args.name, options);
    const body = { name: args.name, cloudRole: options.cloudRole, ...(password === undefined ? {} : { password }) };
    const user = await idempotent((request) => client.createUser({ body }, request));
    await context.print.result(user, [`user ${user.name}: created`], [user.id]);
    context.print.note(`  let the user into a project: virga members set ${user.name} operator`);
    return 0;
  },
});

async function passwordFor(
  context: CommandContext,
  name: string,
  { noPassword, passwordStdin }: { noPassword: boolean; passwordStdin: boolean },
): Promise<string | undefined> {
  if (noPassword && passwordStdin) {
    throw new VirgaError('InvalidArgument', {
      detail: '--no-password and --password-stdin were both given.',
      action: 'Give one of them.',
    });
  }
  if (noPassword) return undefined;
  const password = passwordStdin
    ? await secretFromStdin(context, '--password-stdin')
    : await askSecret(context, `Password for ${name}`, '--password-stdin and pipe it in, or --no-password');
  if (password.length >= shortestPassword) return password;
  throw new VirgaError('InvalidArgument', {
    detail: `The password has ${password.length} characters; at least ${shortestPassword} are needed.`,
    action: 'Choose a longer one.',
  });
}
