// What the commands that change backups have in common: one request each, and the wait for its operation.
import type { Client } from '@virga/contract/client';
import type { OperationId } from '@virga/contract/ids';
import type { Backup } from '@virga/contract/rest/backups';
import type { CommandContext } from '../../context.ts';
import { changeOne } from '../../operations/change-one.ts';

export async function changeBackup(
  context: CommandContext,
  name: string,
  verb: {
    requested: string;
    done: (backup: Backup) => string;
    wait: boolean;
    /** It is there afterwards, and read again. */
    stays: boolean;
    call: (client: Client) => Promise<{ backup: Backup; operationId: OperationId }>;
  },
): Promise<number> {
  const client = await context.client();
  const { requested, done, wait } = verb;
  return changeOne(context, 'backup', {
    ...{ name, wait, requested, done },
    request: () => verb.call(client),
    ...(verb.stays && { afterwards: ({ id }: Backup) => client.getBackup({ params: { id } }) }),
  });
}
