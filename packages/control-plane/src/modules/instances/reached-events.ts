// What is told when an instance has come to what was asked for: by what was asked, because one and the same state is reached
// in several ways.
import type { ObservedInstance } from '@virga/contract/agent/observed';
import type { SystemAccess } from '../../access/authorizer.ts';
import { appendEvent } from '../../events/event-log.ts';
import type { Tx } from '../../store/database.ts';
import type { InstanceRow } from './instance-store.ts';

type Told = { what: string; sentence: (row: InstanceRow) => string };

const on = ({ host_name }: InstanceRow) => `on host ${host_name}`;
const started = { what: 'started', sentence: (row: InstanceRow) => `was started ${on(row)}` };
const stopped = { what: 'stopped', sentence: (row: InstanceRow) => `was stopped ${on(row)}` };

/** By kind of operation. */
const byKind: Record<string, Told> = {
  'instance.launch': started,
  'instance.start': started,
  'instance.stop': stopped,
  'instance.destroy': stopped,
  'instance.reboot': { what: 'rebooted', sentence: (row) => `was rebooted ${on(row)}` },
  'instance.reset': { what: 'reset', sentence: (row) => `was reset ${on(row)}` },
  'instance.suspend': { what: 'paused', sentence: (row) => `stands still ${on(row)}, with its memory` },
  'instance.resume': { what: 'resumed', sentence: (row) => `goes on ${on(row)}` },
  'instance.hibernate': { what: 'hibernated', sentence: (row) => `is off ${on(row)}, and its memory is saved` },
};

export async function tellReached(
  tx: Tx,
  access: SystemAccess,
  row: InstanceRow,
  kind: string,
  observed: ObservedInstance,
): Promise<void> {
  const { what, sentence } = toldOf(row, kind, observed);
  const tell = (type: string, message: string) =>
    appendEvent(tx, access, {
      type,
      projectId: row.project_id,
      resourceId: row.id,
      resourceName: row.name,
      message,
      data: { generation: row.generation, reason: observed.reason },
    });
  await tell(`instance.${what}`, `Instance ${row.name} ${sentence(row)}.`);
  if (row.observed_state === 'hibernated' && observed.state === 'running' && observed.reason === 'booted') {
    await tell(
      'instance.memory-lost',
      `The saved memory of instance ${row.name} was gone: it has booted from its disk instead.`,
    );
  }
}

function toldOf(row: InstanceRow, kind: string, { state, reason }: ObservedInstance): Told {
  if (kind === 'instance.hibernate' && state === 'stopped') {
    return { what: 'stopped', sentence: (it) => `was off ${on(it)} before its memory could be saved` };
  }
  if (kind === 'instance.start' && reason === 'restored') {
    return { what: 'started', sentence: (it) => `was woken ${on(it)}, and goes on where it was` };
  }
  const { desired, reboot } = row;
  // A clone that is not to be started.
  if (kind === 'instance.launch' && desired === 'stopped') {
    return { what: 'changed', sentence: (it) => `is ${on(it)}, and is off` };
  }
  if (byKind[kind]) return byKind[kind];
  if (desired === 'stopped') return stopped;
  return reboot === null ? started : byKind['instance.reboot']!;
}
