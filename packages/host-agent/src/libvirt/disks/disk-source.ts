// A disk as QEMU opens it, and as XML. Pure. Formats are always stated: a guest could turn a raw disk into one that rests on
// a file of the host.
// @see https://libvirt.org/formatdomain.html#hard-drives-floppy-disks-cdroms
import { element } from '../xml.ts';

export type DiskSource = {
  path: string;
  format: 'qcow2' | 'raw';
  /** Several disks rest on it: no guest's QEMU may own it. */
  isShared?: boolean | undefined;
  /** Others rest on it too, but QEMU must own it as it does its own: it is a file of another disk. */
  isLayer?: boolean | undefined;
  /** It can be opened past the page cache; undefined: as the host's own storage. */
  directIo?: boolean | undefined;
  /** It is encrypted, and this secret of libvirt opens it. */
  encryption?: { secretUuid: string } | undefined;
  /** It is an image of Ceph, and the path is its name: POOL/IMAGE. */
  rbd?: RbdAccess | undefined;
  /** What it rests on. */
  base?: DiskSource | undefined;
};

export type RbdAccess = {
  monitors: readonly { host: string; port?: number | undefined }[];
  user: string;
  secretUuid: string;
};

/** What tells one disk from another: of Ceph the same name may stand for images of two clusters. */
export const diskName = ({ path, rbd }: Pick<DiskSource, 'path' | 'rbd'>): string =>
  rbd === undefined ? path : [path, ...rbd.monitors.map(({ host }) => host)].join(' ');

/** The same of a `<source>`. */
export const diskNameOf = ({ file, name }: Record<string, string>, hosts: readonly (string | undefined)[]): string =>
  file ?? [name, ...hosts].join(' ');

/** Of `<disk>` and `<backingStore>`. */
export const diskType = ({ rbd }: DiskSource): 'file' | 'network' => (rbd === undefined ? 'file' : 'network');

/** An image or what else many disks rest on, as the base of one of them. */
export const sharedSource = ({ path, format, rbd, isLayer, base }: DiskSource): DiskSource => ({
  path,
  format,
  ...(isLayer ? { isLayer } : { isShared: true }),
  ...(rbd && { rbd }),
  base: base && sharedSource(base),
});

/** Elements of a `<disk>`: what it is, and all that it rests on, so that QEMU need not guess. */
export const sourceElements = (source: DiskSource): string[] => [sourceElement(source), backingStore(source.base)];

function sourceElement({ path, rbd, encryption, isShared }: DiskSource): string {
  const luks = encryption && encryptionElement(encryption);
  const untouched = isShared && element('seclabel', { model: 'dac', relabel: 'no' });
  if (rbd === undefined) return element('source', { file: path }, untouched, luks);
  return element(
    'source',
    { protocol: 'rbd', name: path },
    ...rbd.monitors.map(({ host, port }) => element('host', { name: host, port })),
    element('auth', { username: rbd.user }, element('secret', { type: 'ceph', uuid: rbd.secretUuid })),
    luks,
  );
}

export const encryptionElement = ({ secretUuid }: NonNullable<DiskSource['encryption']>): string =>
  // libvirt writes the engine into a definition whose disk it has copied.
  element(
    'encryption',
    { format: 'luks', engine: 'qemu' },
    element('secret', { type: 'passphrase', uuid: secretUuid }),
  );

function backingStore(source: DiskSource | undefined): string {
  if (source === undefined) return element('backingStore', {});
  return element(
    'backingStore',
    { type: diskType(source) },
    element('format', { type: source.format }),
    sourceElement(source),
    backingStore(source.base),
  );
}
