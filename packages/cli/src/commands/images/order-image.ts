// What the commands have in common that have an image made: the request, the wait, what is said at the end.
import type { OperationId } from '@virga/contract/ids';
import type { Image } from '@virga/contract/rest/images';
import type { CommandContext } from '../../context.ts';
import { makeChanges } from '../../operations/make-changes.ts';
import { reportChanges } from '../../operations/report-changes.ts';

export async function orderImage(
  context: CommandContext,
  name: string,
  wait: boolean,
  ask: () => Promise<{ image: Image; operationId: OperationId }>,
): Promise<number> {
  const client = await context.client();
  const change = {
    name,
    request: async () => {
      const { operationId, image } = await ask();
      return { operationId, resource: image };
    },
    afterwards: ({ id }: Image) => client.getImage({ params: { id } }),
    done: ({ state }: Image) => state,
  };
  const outcomes = await makeChanges(context, [change], wait);
  const words = { noun: 'image', requested: 'requested', done: change.done };
  return reportChanges(context, outcomes, words, { waited: wait, many: false });
}
