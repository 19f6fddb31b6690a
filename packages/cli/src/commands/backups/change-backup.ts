// What the commands that change backups have in common: one request each, and the wait for its operation.
import type { Client } from '@virga/contract/client';
import type { OperationId } from '@virga/contract/ids';
import type { Backup } from '@virga/contract/rest/backups';
import type { CommandContext } from '../../context.ts';
import { makeChanges } from '../../operations/make-changes.ts';
import { reportChanges } from '../../operations/report-changes.ts';

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
  const change = {
    name,
    request: async () => {
      const { backup, operationId } = await verb.call(client);
      return { operationId, resource: backup };
    },
    ...(verb.stays && { afterwards: ({ id }: Backup) => client.getBackup({ params: { id } }) }),
    done: verb.done,
  };
  const outcomes = await makeChanges(context, [change], verb.wait);
  const words = { noun: 'backup', requested: verb.requested, done: verb.done };
  return reportChanges(context, outcomes, words, { waited: verb.wait, many: false });
}
