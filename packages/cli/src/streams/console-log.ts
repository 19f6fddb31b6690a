// The log of a serial console, once or followed. On a terminal only text is left of it: a guest must not steer the
// terminal of whoever reads its log. Elsewhere every byte is kept.
import { setTimeout as delay } from 'node:timers/promises';
import type { Instance } from '@virga/contract/rest/instances';
import type { CommandContext } from '../context.ts';
import { interruptedExit } from '../interrupt.ts';
import { printableLines } from '../output/format.ts';
import { newText } from './console-log-delta.ts';

const followPauseMs = 1000;
const followTailBytes = 65_536;

export async function readConsoleLog(context: CommandContext, { id }: Instance, tailBytes: number): Promise<string> {
  const client = await context.client();
  const answer = await client.getConsoleLog({ params: { id }, query: { tailBytes } });
  return shown(context, answer.text);
}

export async function printConsoleLog(context: CommandContext, { id }: Instance, tailBytes: number): Promise<number> {
  const answer = await (await context.client()).getConsoleLog({ params: { id }, query: { tailBytes } });
  if (context.print.format === 'table') context.print.write(shown(context, answer.text));
  else await context.print.result(answer, [], []);
  if (answer.text === '') context.print.note('The console has printed nothing yet. Watch it with --follow.');
  return 0;
}

/** Prints what there is and what comes, until the user interrupts or nobody reads any more. */
export async function followConsoleLog(context: CommandContext, { id }: Instance, tailBytes: number): Promise<number> {
  const client = await context.client();
  const signal = context.endless();
  const read = async (bytes: number) =>
    (await client.getConsoleLog({ params: { id }, query: { tailBytes: bytes } }, { signal })).text;
  try {
    let seen = await read(tailBytes);
    context.print.write(shown(context, seen));
    for (;;) {
      await delay(followPauseMs, undefined, { signal });
      const text = await read(Math.max(tailBytes, followTailBytes));
      context.print.write(shown(context, newText(seen, text)));
      seen = text;
    }
  } catch (error) {
    if (!signal.aborted) throw error;
    return context.interrupt().aborted ? interruptedExit : 0;
  }
}

function shown({ print }: CommandContext, text: string): string {
  return print.terminal.isTty ? printableLines(text) : text;
}
