// Where a host keeps the record of what was changed on it.
import { join } from 'node:path';

export const hostChangesPath = (storagePath: string): string => join(storagePath, 'host-changes.json');
