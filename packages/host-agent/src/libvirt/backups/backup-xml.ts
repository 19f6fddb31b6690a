// The XML of a backup and of the checkpoint that is made with it. Pure.
// @see https://libvirt.org/formatbackup.html and https://libvirt.org/formatcheckpoint.html
import { type DiskSource, encryptionElement } from '../disks/disk-source.ts';
import { element, textElement } from '../xml.ts';

export type PushedDisk = {
  target: string;
  /** Where what is read goes: a qcow2, which QEMU makes unless it is there. */
  path: string;
  /** Only what has changed since. */
  since: string | undefined;
  recordsChanges: boolean;
  /** It is encrypted, as the disk is, and was made before. */
  encryption?: DiskSource['encryption'];
};

export const backupXml = (disks: readonly PushedDisk[], others: readonly string[]): string =>
  element(
    'domainbackup',
    { mode: 'push' },
    element(
      'disks',
      {},
      ...disks.map(({ target, path, since, encryption }) =>
        element(
          'disk',
          {
            ...{ name: target, backup: 'yes', type: 'file' },
            ...(since === undefined ? { backupmode: 'full' } : { backupmode: 'incremental', incremental: since }),
          },
          element('driver', { type: 'qcow2' }),
          element('target', { file: path }, encryption && encryptionElement(encryption)),
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
