// A disk as QEMU opens it, and as XML. Pure. Formats are always stated: a guest could turn a raw disk into one that rests on
// a file of the host.
// @see https://libvirt.org/formatdomain.html#hard-drives-floppy-disks-cdroms
import { element } from '../xml.ts';

export type DiskSource = {
  path: string;
  format: 'qcow2' | 'raw';
  /** Several disks rest on it: no guest's QEMU may own it. */
  isShared?: boolean | undefined;
  /** What it rests on. */
  base?: DiskSource | undefined;
};

/** An image or what else many disks rest on, as the base of one of them. */
export const sharedSource = ({ path, format, base }: DiskSource): DiskSource => ({
  path,
  format,
  isShared: true,
  base: base && sharedSource(base),
});

/** Elements of a `<disk type='file'>`: what it is, and all that it rests on, so that QEMU need not guess. */
export const sourceElements = ({ path, base }: DiskSource): string[] => [
  element('source', { file: path }),
  backingStore(base),
];

function backingStore(source: DiskSource | undefined): string {
  if (source === undefined) return element('backingStore', {});
  const { path, format, isShared, base } = source;
  const untouched = isShared && element('seclabel', { model: 'dac', relabel: 'no' });
  return element(
    'backingStore',
    { type: 'file' },
    element('format', { type: format }),
    element('source', { file: path }, untouched),
    backingStore(base),
  );
}
