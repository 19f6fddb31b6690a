// The server under fault as one file: it starts some hundred times in a run, and a thousand files take longer to load than
// all the rest of a start.
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

/** @returns the path of the program */
export async function bundleServer(folder: string): Promise<string> {
  const outfile = join(folder, 'server-under-fault.mjs');
  await build({
    entryPoints: [fileURLToPath(new URL('server-under-fault.ts', import.meta.url))],
    outfile,
    bundle: true,
    platform: 'node',
    format: 'esm',
    conditions: ['development'],
    // Some libraries are CommonJS and ask for Node's own modules.
    banner: { js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);" },
    logLevel: 'error',
  });
  return outfile;
}
