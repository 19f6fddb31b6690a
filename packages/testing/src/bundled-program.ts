// A program as one file: what starts a hundred times in a run would otherwise load a thousand files each time, which takes longer
// than all the rest of its start.
import { build, stop } from 'esbuild';

/** Bundles the module at `entry` and all that it imports into `outfile`. */
export async function bundleProgram(entry: string, outfile: string): Promise<void> {
  await build({
    entryPoints: [entry],
    outfile,
    bundle: true,
    platform: 'node',
    format: 'esm',
    conditions: ['development'],
    // Some libraries are CommonJS and ask for Node's own modules.
    banner: {
      js: "import { createRequire as createRequireOfBundle } from 'node:module'; const require = createRequireOfBundle(import.meta.url);",
    },
    logLevel: 'error',
  });
  // Its process would stay as long as ours, with what it has read in its memory.
  await stop();
}
