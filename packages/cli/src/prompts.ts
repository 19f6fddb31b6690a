// Questions to the person at the terminal. Where nobody can answer, a question is a refusal that says which option answers it.
import { VirgaError } from '@virga/contract/errors';
import type { CommandContext } from './context.ts';
import { Interrupted } from './interrupt.ts';

/** True when a person can be asked: both ends of the conversation are a terminal. */
export function canAsk({ io }: CommandContext): boolean {
  return io.stdin.isTTY === true && io.stderr.isTTY === true;
}

/**
 * Asks before data is destroyed.
 * @param what the consequence as a question, such as `Delete instance web with its disk?`
 * @throws InvalidArgument nobody can be asked and --yes is missing
 * @throws Interrupted the answer was no; nothing has changed
 */
export async function confirmDestruction(context: CommandContext, what: string, yes: boolean): Promise<void> {
  if (yes) return;
  if (!canAsk(context)) {
    throw new VirgaError('InvalidArgument', {
      detail: `${what} This cannot be undone, and there is no terminal to ask at.`,
      action: 'Add --yes when you are sure.',
    });
  }
  const { confirm, isCancel } = await import('@clack/prompts');
  const answer = await confirm({
    message: `${what} This cannot be undone.`,
    initialValue: false,
    input: context.io.stdin,
    output: context.io.stderr,
  });
  if (isCancel(answer) || !answer) throw new Interrupted('Nothing was changed.');
}

/**
 * Asks before something is done that can be undone.
 * @throws InvalidArgument nobody can be asked and --yes is missing
 * @throws Interrupted the answer was no; nothing has changed
 */
export async function confirm(context: CommandContext, question: string, yes: boolean): Promise<void> {
  if (yes) return;
  if (!canAsk(context)) {
    throw new VirgaError('InvalidArgument', {
      detail: `${question} There is no terminal to ask at.`,
      action: 'Add --yes when you are sure.',
    });
  }
  const clack = await import('@clack/prompts');
  const answer = await clack.confirm({ message: question, input: context.io.stdin, output: context.io.stderr });
  if (clack.isCancel(answer) || !answer) throw new Interrupted('Nothing was changed.');
}

/** Asks for a line of text. @throws InvalidArgument nobody can be asked; `option` names what to give instead */
export async function askText(context: CommandContext, message: string, option: string): Promise<string> {
  requireTerminal(context, message, option);
  const { text } = await import('@clack/prompts');
  return answered(await text({ message, ...streams(context), validate: required }));
}

/** Asks for a secret, which is not shown. @throws InvalidArgument nobody can be asked */
export async function askSecret(context: CommandContext, message: string, option: string): Promise<string> {
  requireTerminal(context, message, option);
  const { password } = await import('@clack/prompts');
  return answered(await password({ message, ...streams(context), validate: required }));
}

/** The first line of stdin, for secrets: they never stand on a command line, where every user of the machine sees them. */
export async function secretFromStdin({ io }: CommandContext, option: string): Promise<string> {
  let text = '';
  for await (const chunk of io.stdin) {
    text += chunk;
    if (text.includes('\n')) break;
  }
  const line = text.split(/\r?\n/, 1)[0]!;
  if (line !== '') return line;
  throw new VirgaError('InvalidArgument', {
    detail: `${option} was given, but there is nothing on standard input.`,
    action: `Pipe the secret in: virga … ${option} < FILE.`,
  });
}

const required = (value: string | undefined) => (value ? undefined : 'An answer is needed.');
const streams = ({ io }: CommandContext) => ({ input: io.stdin, output: io.stderr });

function requireTerminal(context: CommandContext, message: string, option: string): void {
  if (canAsk(context)) return;
  throw new VirgaError('InvalidArgument', {
    detail: `${message} is missing, and there is no terminal to ask at.`,
    action: `Give ${option}.`,
  });
}

function answered(answer: string | symbol): string {
  if (typeof answer === 'string') return answer;
  throw new Interrupted('Nothing was changed.');
}
