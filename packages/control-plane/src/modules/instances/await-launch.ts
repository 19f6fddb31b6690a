// For workflows that launch an instance as one of their steps: how its launch ends, and what comes of the volumes that it was
// given. One that cannot be launched takes them with it.
import { fromProblem, VirgaError } from '@virga/contract/errors';
import type { InstanceId } from '@virga/contract/ids';
import { openAlarm } from '../../store/alarm.ts';
import type { Db, Tx } from '../../store/database.ts';
import type { Notifications } from '../../store/notifications.ts';

/** Its launch has an operation of its own, which tells how it ends. @throws what kept it from being launched */
export async function untilLaunched(
  { db, notifications }: { db: Db; notifications: Notifications },
  { id, name }: { id: InstanceId; name: string },
  signal: AbortSignal,
): Promise<void> {
  let operationId: string | undefined;
  const alarm = openAlarm(
    notifications,
    'operations',
    signal,
    (told) => operationId === undefined || told === operationId,
  );
  try {
    for (;;) {
      signal.throwIfAborted();
      const launch = await db
        .selectFrom('operations')
        .select(['id', 'state', 'error'])
        .where('resource_id', '=', id)
        .where('kind', '=', 'instance.launch')
        .executeTakeFirst();
      if (launch?.state === 'succeeded') return;
      if (launch?.state === 'failed') throw launch.error ? fromProblem(launch.error) : notLaunched(name);
      operationId = launch?.id;
      await alarm.rung();
    }
  } finally {
    alarm.stop();
  }
}

const notLaunched = (name: string) =>
  new VirgaError('OperationFailed', {
    detail: `Instance ${name} could not be brought to its host.`,
    action: `See what became of it: virga show ${name}`,
  });

/** It is there: from now on its volumes, which were attached to go with it, have a life of their own. */
export async function keepVolumes(tx: Tx, id: InstanceId): Promise<void> {
  await tx
    .updateTable('volume_attachments as a')
    .from('instances as i')
    .set({ delete_with_instance: false })
    .whereRef('i.id', '=', 'a.instance_id')
    .where('i.id', '=', id)
    // Who deletes it may want them gone too.
    .where('i.desired', '!=', 'deleted')
    .execute();
}
