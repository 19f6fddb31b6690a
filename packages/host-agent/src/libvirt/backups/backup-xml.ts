// The XML of a backup and of the checkpoint that is made with it. Pure.
// @see https://libvirt.org/formatbackup.html and https://libvirt.org/formatcheckpoint.html
import { element, textElement } from '../xml.ts';

export type PushedDisk = {
  target: string;
  /** Where what is read goes: a qcow2 that QEMU makes. */
  path: string;
  /** Only what has changed since. */
  since: string | undefined;
  recordsChanges: boolean;
};

export const backupXml = (disks: readonly PushedDisk[], others: readonly string[]): string =>
  element(
    'domainbackup',
    { mode: 'push' },
    element(
      'disks',
      {},
      ...disks.map(({ target, path, since }) =>
        element(
          'disk',
          {
            ...{ name: target, backup: 'yes', type: 'file' },
            ...(since === undefined ? { backupmode: 'full' } : { backupmode: 'incremental', incremental: since }),
          },
          element('driver', { type: 'qcow2' }),
          element('target', { file: path }),
        ),
      ),
      ...others.map((target) => element('disk', { name: target, backup: 'no' })),
    ),
  );

/** Undefined when there is no disk of which changes can be recorded. */
export function checkpointXml(
  name: string,
  disks: readonly PushedDisk[],
  others: readonly string[],
): string | undefined {
  if (!disks.some(({ recordsChanges }) => recordsChanges)) return undefined;
  const recorded = (target: string, isRecorded: boolean) =>
    element('disk', { name: target, checkpoint: isRecorded ? 'bitmap' : 'no' });
  return element(
    'domaincheckpoint',
    {},
    textElement('name', name),
    element(
      'disks',
      {},
      ...disks.map(({ target, recordsChanges }) => recorded(target, recordsChanges)),
      ...others.map((target) => recorded(target, false)),
    ),
  );
}
