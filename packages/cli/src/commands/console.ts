import { VirgaError } from '@virga/contract/errors';
import type { Instance } from '@virga/contract/rest/instances';
import { defineCommand } from '../command.ts';
import { Interrupted } from '../interrupt.ts';
import { findInstance } from '../lookup.ts';
import { followConsoleLog, printConsoleLog, readConsoleLog } from '../streams/console-log.ts';
import { tailOption } from './shared-options.ts';

/** What a person sees of the past on connecting: about a screen. */
const screenBytes = 2048;

export const consoleCommand = defineCommand({
  meta: {
    path: 'console',
    summary: 'Connect to the serial console of an instance, or print its log',
    details:
      'On a terminal, what was printed last is shown first, and Ctrl-] leaves. Input from a pipe is typed into the guest; after its end the console is left as soon as ' +
      'the guest has been quiet for two seconds, or has printed what --until says.',
    section: 'Consoles and guests',
  },
  args: { instance: { summary: 'name or id', complete: 'instance' } },
  options: {
    log: { type: 'flag', summary: 'print what the console has printed, instead of connecting' },
    follow: { type: 'flag', summary: 'with --log: go on printing what comes' },
    tail: { ...tailOption, summary: 'with --log: how much of its end' },
    until: { type: 'text', value: 'TEXT', summary: 'leave when the guest has printed this' },
    timeout: {
      type: 'integer',
      value: 'SECONDS',
      summary: 'leave after this long; with --until that is a failure',
      minimum: 1,
      maximum: 86_400,
    },
  },
  examples: [
    { command: 'virga console web', explains: 'a terminal; Ctrl-] leaves' },
    { command: 'virga console web --log --follow', explains: 'watches it boot' },
    { command: 'echo reboot | virga console web', explains: 'types a line' },
    { command: "virga console web --until 'login:' --timeout 300 < /dev/null", explains: 'waits for the login prompt' },
  ],
  async run(context, { args, options }) {
    if (options.follow && !options.log) {
      throw new VirgaError('InvalidArgument', { detail: '--follow was given without --log.', action: 'Add --log.' });
    }
    const instance = await findInstance(await context.client(), args.instance);
    if (options.log && options.follow) return followConsoleLog(context, instance, options.tail);
    if (options.log) return printConsoleLog(context, instance, options.tail);
    const { openConsoleSession } = await import('../streams/console-session.ts');
    const tty = context.io.stdin.isTTY === true;
    if (tty) {
      context.print.write(await readConsoleLog(context, instance, screenBytes));
      context.print.note(`Connected to ${instance.name}. Leave with Ctrl-].`);
    }
    const end = await openConsoleSession(context.io, await context.connection(), instance, {
      until: options.until,
      timeoutMs: options.timeout === undefined ? undefined : options.timeout * 1000,
      signal: context.interrupt(),
    });
    if (context.interrupt().aborted) throw new Interrupted('Left the console.');
    if (options.until !== undefined && end !== 'until') throw neverPrinted(instance, options.until);
    if (tty) context.print.note(end === 'closed' ? '\nThe console was closed.' : '\nLeft the console.');
    return 0;
  },
});

function neverPrinted({ name }: Instance, text: string): VirgaError {
  return new VirgaError('Timeout', {
    detail: `The console of ${name} did not print ${JSON.stringify(text)} in time.`,
    action: `Look at what it printed with virga console ${name} --log.`,
  });
}
