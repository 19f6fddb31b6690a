// Names of the files that a disk consists of. Pure.
import { basename, join } from 'node:path';

/** The file that the disk was made as, and those that were put on it: `root.qcow2`, `root.0123456789abcdef0.qcow2`. */
const layerName = /^(root|disk)(\.[0-9a-f]{17})?\.(qcow2|raw)$/;

export const isLayerName = (name: string): boolean => layerName.test(name);

/** @param id whose digits nobody else gives to a file of this disk: of the snapshot, or of the operation */
export const layerFor = (firstFile: string, id: string): string =>
  `${basename(firstFile).replace(/\.(qcow2|raw)$/, '')}.${id.slice(id.indexOf('-') + 1)}.qcow2`;

export const layerPath = (firstFile: string, name: string): string => join(firstFile, '..', name);
