// What of a host belongs to its comparisons, by name: domains and networks carry a prefix that follows from the storage
// folder, so that two agents on one hypervisor leave each other alone.
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import type { Storage } from '../storage.ts';

/** Owner of the settings of the host. */
export const benchOwner = 'bench';

export const benchFolder = ({ path }: Pick<Storage, 'path'>): string => join(path, 'bench');

export const benchPrefix = ({ path }: Pick<Storage, 'path'>): string =>
  `virga-bench-${createHash('sha256').update(path).digest('hex').slice(0, 6)}-`;
