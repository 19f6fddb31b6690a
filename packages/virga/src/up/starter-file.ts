// The file of the starter image, built from its recipe. It is kept until the host has its own copy, so that an interrupted
// run need not build again.
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { VirgaError } from '@virga/contract/errors';
import { checkoutPath } from '../machine/checkout.ts';
import { runCommand } from '../machine/run-command.ts';
import type { Folders } from '../server/folders.ts';
import type { Report } from './phase.ts';

export const imageName = 'starter';

/**
 * The file that was given, else the built one.
 * @throws InvalidArgument there is no such file
 * @throws OperationFailed the recipe failed
 */
export async function starterFile(folders: Folders, given: string | undefined, report: Report): Promise<string> {
  if (given === undefined) return build(folders, report);
  if (existsSync(given)) return resolve(given);
  throw new VirgaError('InvalidArgument', {
    detail: `There is no file ${given}.`,
    action: 'Name an image file with --starter-image, or leave it out to have one built.',
  });
}

async function build(folders: Folders, report: Report): Promise<string> {
  const recipe = checkoutPath('images', imageName, 'build');
  const key = (await runCommand([recipe, '--print-key'])).trim();
  const path = join(folders.state, `${imageName}-${key}.qcow2`);
  if (existsSync(path)) return path;
  report('building');
  await runCommand([recipe, path], { onLine: report });
  return path;
}
