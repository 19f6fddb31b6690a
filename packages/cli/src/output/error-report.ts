// What a failure looks like: two lines on stderr, what went wrong and what to do, or the problem document. The exit code
// comes from the error registry. An error that is not in the registry is a mistake of ours, and says so.
import { toProblem, VirgaError } from '@virga/contract/errors';
import type { TerminalIo } from '../terminal-io.ts';
import { printable } from './format.ts';
import { type OutputFormat, serialize } from './printer.ts';
import { terminalOf } from './terminal.ts';

/**
 * Reports an error. Answers the exit code.
 * @param subject what stands before it, such as `instance web: `
 */
export async function reportError(
  io: TerminalIo,
  thrown: unknown,
  format: OutputFormat,
  color = true,
  subject = '',
): Promise<number> {
  const error = asVirgaError(thrown);
  if (format === 'table') {
    const terminal = terminalOf(io.stderr, io.env, color);
    io.stderr.write(`${terminal.paint('red', 'error:')} ${printable(subject + error.detail)}\n`);
    io.stderr.write(`  ${terminal.paint('bold', 'try:')} ${printable(error.action)}\n`);
  } else {
    io.stderr.write(await serialize(toProblem(error), format));
  }
  if (io.env.VIRGA_DEBUG) io.stderr.write(`${stackOf(thrown)}\n`);
  return error.kind.exit;
}

export function asVirgaError(thrown: unknown): VirgaError {
  if (thrown instanceof VirgaError) return thrown;
  return new VirgaError('Internal', {
    detail: `The command line made a mistake: ${thrown instanceof Error ? thrown.message : String(thrown)}.`,
    action: 'Run it again with VIRGA_DEBUG=1 in the environment and report what it prints.',
    cause: thrown,
  });
}

function stackOf(thrown: unknown): string {
  if (!(thrown instanceof Error)) return String(thrown);
  return `${thrown.stack ?? thrown}${thrown.cause === undefined ? '' : `\ncaused by ${stackOf(thrown.cause)}`}`;
}
