// How a program of ours is made into one file with a source map. Owns what is in that file and what it looks like; where it goes,
// and that it is there whole or not at all, is the business of who calls.
import { build } from 'esbuild';

const root = new URL('../..', import.meta.url).pathname;

/** Bundles the module at `entry` and all that it imports into `outfile`, which says in its first line which build it is. */
export async function bundleProgram(entry: string, outfile: string, id: string): Promise<void> {
  await build({
    absWorkingDir: root,
    entryPoints: [entry],
    outfile,
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node24',
    conditions: ['development'],
    external: ['pg-native'],
    define: { 'process.env.VIRGA_BUILD_ID': JSON.stringify(id) },
    // What is CommonJS among the libraries asks for `require`, which a module does not have.
    banner: {
      js: `// build ${id}\nimport { createRequire as createRequireOfBundle } from 'node:module';\nconst require = createRequireOfBundle(import.meta.url);`,
    },
    sourcemap: 'linked',
    // A server keeps its source for as long as it runs, and two bytes a character of it when one of them is not ASCII, as there
    // are in the comments of libraries. Names stay what they are, for stacks, and lines short enough to be printed.
    charset: 'ascii',
    minifySyntax: true,
    minifyWhitespace: true,
    lineLimit: 160,
    legalComments: 'none',
    logLevel: 'warning',
  });
}
