// The instance that a snapshot is of, held against other changes, and whether it can have one now. What cannot be is refused
// before anything is written.
import { VirgaError } from '@virga/contract/errors';
import type { InstanceRow } from '../instances/instance-store.ts';

/** @throws Conflict it can have no snapshot, or not now */
export function requireSnapshotable(row: InstanceRow, { memory }: { memory: boolean }): void {
  requireOwnDisks(row);
  if (row.converged_generation === 0) {
    throw conflict(`Instance ${row.name} is still being launched.`, 'Wait until it runs.');
  }
  if (row.state === 'hibernated' || row.state === 'hibernating') throw isHibernated(row);
  if (memory && row.observed_state !== 'running' && row.observed_state !== 'paused') {
    throw conflict(
      `Instance ${row.name} is ${row.state}, so it has no memory to keep.`,
      'Leave the memory out, or start it first.',
      '/memory',
    );
  }
}

/** @throws Conflict it is adopted, or being deleted */
export function requireOwnDisks(row: InstanceRow): void {
  if (row.desired === 'deleted') throw conflict(`Instance ${row.name} is being deleted.`, 'Use another one.');
  if (row.origin === 'launched') return;
  throw conflict(
    `Instance ${row.name} was adopted: its disks are not Virga's to put on other files.`,
    `Use virsh snapshot-create-as ${row.domain_name}.`,
  );
}

export const isHibernated = ({ name, state }: InstanceRow): VirgaError =>
  conflict(
    `Instance ${name} is ${state}, and its saved memory belongs to its disks as they are.`,
    `Wake it first: virga start ${name}`,
  );

export const conflict = (detail: string, action: string, field?: string): VirgaError =>
  new VirgaError('Conflict', { detail, action, field });
