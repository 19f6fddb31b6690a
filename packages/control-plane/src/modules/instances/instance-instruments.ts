// Measures an instance, and reaches it by its keyboard and by interrupt. Nothing of it is desired, so nothing is tried again.
// Events tell that keys were pressed, never which.
import { codesOf } from '@virga/contract/agent/key-codes';
import { VirgaError } from '@virga/contract/errors';
import type { InstanceId } from '@virga/contract/ids';
import type { Statistics } from '@virga/contract/rest/instance-instruments';
import type { ProjectAccess } from '../../access/authorizer.ts';
import type { Deps } from '../../deps.ts';
import { appendEvent } from '../../events/event-log.ts';
import { inTransaction } from '../../store/database.ts';
import { requireInstance } from './instance-operations.ts';
import { about } from './instance-outcome.ts';

/** As many keys as a keyboard tells of at the same time. */
const maxKeysTogether = 16;

/** @throws NotFound | Conflict it does not run | HostUnavailable */
export async function instanceStatistics(
  deps: Deps,
  access: ProjectAccess,
  id: InstanceId,
  signal?: AbortSignal,
): Promise<Statistics> {
  const { host_id } = await requireInstance(deps.db, access, id);
  const { at, ...rest } = await deps.agents.agentOf(host_id).statistics(id, { signal });
  return { at: at.toISOString(), ...rest };
}

/** @throws InvalidArgument a key that there is not | NotFound | Conflict it does not run | HostUnavailable */
export async function sendKeys(
  deps: Deps,
  access: ProjectAccess<'operator'>,
  id: InstanceId,
  keys: readonly string[],
): Promise<Record<string, never>> {
  const chords = keys.map((chord, index) => {
    const codes = codesOf(chord);
    if (codes !== undefined && codes.length <= maxKeysTogether) return codes;
    throw new VirgaError('InvalidArgument', {
      detail: codes ? `More than ${maxKeysTogether} keys cannot be held together.` : `There are no keys ${chord}.`,
      action: 'Use names as in ctrl+alt+delete, f1, enter, a or 7.',
      field: `/keys/${index}`,
    });
  });
  const row = await requireInstance(deps.db, access, id);
  await deps.agents.agentOf(row.host_id).sendKeys(id, chords);
  await inTransaction(deps.db, (tx) =>
    appendEvent(tx, access, {
      ...about(row, 'instance.keys-sent'),
      message: `Keys were pressed at the keyboard of instance ${row.name}.`,
      data: { chords: chords.length },
    }),
  );
  return {};
}

/** @throws NotFound | Conflict it does not run | HostUnavailable */
export async function injectNmi(
  deps: Deps,
  access: ProjectAccess<'operator'>,
  id: InstanceId,
): Promise<Record<string, never>> {
  const row = await requireInstance(deps.db, access, id);
  await inTransaction(deps.db, (tx) =>
    appendEvent(tx, access, {
      ...about(row, 'instance.interrupted'),
      message: `Instance ${row.name} gets a non-maskable interrupt.`,
    }),
  );
  await deps.agents.agentOf(row.host_id).injectNmi(id);
  return {};
}
