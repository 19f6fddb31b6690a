import { defineCommand } from '../../command.ts';
import { findInstance } from '../../lookup.ts';
import { askSecret, secretFromStdin } from '../../prompts.ts';

export const setGuestPassword = defineCommand({
  meta: {
    path: 'guest set-password',
    summary: 'Set the password of a user of a guest',
    details: 'The password is asked for, or read from standard input. It is kept nowhere but in the guest.',
    section: 'Consoles and guests',
  },
  args: {
    instance: { summary: 'name or id', complete: 'instance' },
    user: { summary: 'user of the guest; default its login user', optional: true },
  },
  options: { passwordStdin: { type: 'flag', summary: 'read the password from standard input' } },
  examples: [{ command: 'virga guest set-password web root', explains: 'asks for the password' }],
  async run(context, { args, options }) {
    const client = await context.client();
    const { id, name, loginUser } = await findInstance(client, args.instance);
    const user = args.user ?? loginUser ?? 'root';
    const password = options.passwordStdin
      ? await secretFromStdin(context, '--password-stdin')
      : await askSecret(context, `New password for ${user} in ${name}`, '--password-stdin and pipe it in');
    await client.setGuestPassword({ params: { id }, body: { user, password } });
    await context.print.result({ user }, [`guest ${name}: password of ${user} set`], [id]);
    return 0;
  },
});
