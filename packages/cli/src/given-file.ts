// A file that somebody names on the command line, read before anything is asked of the cloud.
import { readFile } from 'node:fs/promises';
import { VirgaError } from '@virga/contract/errors';

/** @param what it is called in the sentence @throws InvalidArgument it cannot be read */
export async function readGivenFile(
  path: string,
  { what = 'file', action = 'Give the path of a file that you may read.' } = {},
): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (cause) {
    throw new VirgaError('InvalidArgument', {
      detail: `The ${what} ${path} cannot be read (${(cause as NodeJS.ErrnoException).code}).`,
      action,
      cause,
    });
  }
}
