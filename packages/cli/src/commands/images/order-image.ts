// What the commands have in common that have an image made: the request, the wait, what is said at the end.
import type { OperationId } from '@virga/contract/ids';
import type { Image } from '@virga/contract/rest/images';
import type { CommandContext } from '../../context.ts';
import { changeOne } from '../../operations/change-one.ts';

export async function orderImage(
  context: CommandContext,
  name: string,
  wait: boolean,
  ask: () => Promise<{ image: Image; operationId: OperationId }>,
  requested = 'requested',
): Promise<number> {
  const client = await context.client();
  return changeOne(context, 'image', {
    ...{ name, wait, requested },
    request: ask,
    afterwards: ({ id }) => client.getImage({ params: { id } }),
    done: ({ state }) => state,
  });
}
