// What the user reads after changes: a line for each on stdout, errors on stderr, and how to follow what was not waited for.
import { toProblem } from '@virga/contract/errors';
import type { CommandContext } from '../context.ts';
import { reportError } from '../output/error-report.ts';
import type { Outcome } from './make-changes.ts';

export type ChangeWords<T> = {
  /** Key of the resource in JSON and YAML, such as `instance`. */
  noun: string;
  /** Said of each change that was asked for and not waited for, such as `stop requested`. */
  requested: string;
  /** Said of each that was waited for, such as `stopped`. */
  done: (resource: T) => string;
};

/**
 * Prints the outcomes. As data: one object for a command that changes one resource, else an array.
 * @returns the exit code of the worst error, or 0
 */
export async function reportChanges<T extends { id: string }>(
  context: CommandContext,
  outcomes: readonly Outcome<T>[],
  words: ChangeWords<T>,
  options: { waited: boolean; many: boolean },
): Promise<number> {
  const { print, io, globals } = context;
  const good = outcomes.filter((outcome) => !outcome.error);
  const values = outcomes.map(({ name, resource, operationId, error }) => ({
    ...(options.many ? { name } : {}),
    ...(resource === undefined ? {} : { [words.noun]: resource }),
    ...(operationId === undefined ? {} : { operationId }),
    ...(error === undefined ? {} : { error: toProblem(error) }),
  }));
  const lines = good.map(
    ({ name, resource }) => `${words.noun} ${name}: ${options.waited ? words.done(resource!) : words.requested}`,
  );
  if (options.many || good.length > 0) {
    const ids = good.map(({ resource }) => resource!.id);
    await print.result(options.many ? values : values[0], lines, ids);
  }
  if (print.format === 'table') for (const { name, note } of good) if (note) print.note(`  ${name}: ${note}`);
  const operationIds = good.flatMap(({ operationId }) => operationId ?? []);
  if (!options.waited && operationIds.length > 0 && print.format === 'table') {
    print.note(`  follow: virga operations wait ${operationIds.join(' ')}`);
  }
  let exit = 0;
  for (const { name, error } of outcomes) {
    if (!error) continue;
    const subject = outcomes.length > 1 ? `${words.noun} ${name}: ` : '';
    exit = worse(exit, await reportError(io, error, globals.output, globals.color, subject));
  }
  return exit;
}

const ourBug = 1;

/** A bug of ours is the worst; else what asks for more than another command line has the larger code. */
const worse = (a: number, b: number): number => (a === ourBug || b === ourBug ? ourBug : Math.max(a, b));
