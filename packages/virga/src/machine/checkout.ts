// Where the files of this checkout are, whether this runs from source or from the bundle in `dist`.
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { VirgaError } from '@virga/contract/errors';

/** A file of the checkout. @throws OperationFailed the program has been taken out of its checkout */
export function checkoutPath(...path: string[]): string {
  for (let folder = import.meta.dirname; ; folder = dirname(folder)) {
    const found = join(folder, ...path);
    if (existsSync(join(folder, 'images/starter')) && existsSync(found)) return found;
    if (folder !== dirname(folder)) continue;
    throw new VirgaError('OperationFailed', {
      detail: `There is no ${join(...path)} beside this program.`,
      action: 'Run bin/virga or script/up of a complete checkout.',
    });
  }
}
