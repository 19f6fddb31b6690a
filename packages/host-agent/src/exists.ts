// Whether something is at a path, as far as this process can see. Asks once; what comes after must bear that it has changed.
import { access } from 'node:fs/promises';

export const exists = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  );
