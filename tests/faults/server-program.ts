// The server under fault as one file.
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { bundleProgram } from '@virga/testing/bundled-program';

/** @returns the path of the program */
export async function bundleServer(folder: string): Promise<string> {
  const outfile = join(folder, 'server-under-fault.mjs');
  await bundleProgram(fileURLToPath(new URL('server-under-fault.ts', import.meta.url)), outfile);
  return outfile;
}
