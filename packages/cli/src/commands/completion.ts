import { defineCommand } from '../command.ts';
import { completionScript, shells } from '../completion/scripts.ts';

export const completion = defineCommand({
  meta: {
    path: 'completion',
    summary: 'Print the completion script of a shell',
    details:
      'Completes commands, options, and the names of instances, images and everything else by asking the server.',
    section: 'This machine',
  },
  args: { shell: { summary: 'which shell', choices: shells } },
  options: {},
  examples: [
    { command: 'source <(virga completion bash)', explains: 'in ~/.bashrc' },
    { command: 'source <(virga completion zsh)', explains: 'in ~/.zshrc, after compinit' },
    { command: 'virga completion fish > ~/.config/fish/completions/virga.fish', explains: 'once' },
  ],
  async run(context, { args }) {
    context.print.write(completionScript(args.shell));
    return 0;
  },
});
