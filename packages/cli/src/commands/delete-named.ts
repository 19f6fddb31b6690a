// What the commands have in common that delete several resources: all are found first, and asked about once.
import type { Client } from '@virga/contract/client';
import type { OperationId } from '@virga/contract/ids';
import type { CommandContext } from '../context.ts';
import { eachBounded } from '../each-bounded.ts';
import { makeChanges } from '../operations/make-changes.ts';
import { reportChanges } from '../operations/report-changes.ts';
import { confirmDestruction } from '../prompts.ts';

const atOnce = 8;

/** @returns the exit code */
export async function deleteNamed<
  N extends string,
  T extends { id: string; name: string },
  A extends { operationId: OperationId } & { [K in N]: { id: string } },
>(
  context: CommandContext,
  noun: N,
  namesOrIds: readonly string[],
  options: { yes: boolean; wait: boolean },
  verb: {
    find: (client: Client, nameOrId: string) => Promise<T>;
    /** Of their names, with commas between them. */
    question: (names: string) => string;
    call: (client: Client, id: T['id']) => Promise<A>;
  },
): Promise<number> {
  const client = await context.client();
  const found = await eachBounded([...new Set(namesOrIds)], atOnce, (name) => verb.find(client, name));
  await confirmDestruction(context, verb.question(found.map(({ name }) => name).join(', ')), options.yes);
  const done = () => 'deleted';
  const changes = found.map(({ id, name }) => ({
    name,
    request: async () => {
      const answer = await verb.call(client, id);
      return { operationId: answer.operationId, resource: answer[noun] };
    },
    done,
  }));
  const outcomes = await makeChanges(context, changes, options.wait);
  const words = { noun, requested: 'deletion requested', done };
  return reportChanges(context, outcomes, words, { waited: options.wait, many: true });
}
