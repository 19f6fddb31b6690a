// Bundles the executable and all it imports into dist/virga.mjs, with a source map. Does nothing when the sources are what
// the bundle was made from. The bundle is there whole or not at all, also when two builds run at once.
import { createHash } from 'node:crypto';
import { existsSync, globSync, mkdirSync, readFileSync, renameSync, rmSync, utimesSync } from 'node:fs';
import { join } from 'node:path';
import { bundleProgram } from './bundle.ts';

const root = join(import.meta.dirname, '../..');
const folder = join(root, 'dist');
const bundle = join(folder, 'virga.mjs');

/** Hash of everything that the bundle is made from. */
function sourceHash(): string {
  const hash = createHash('sha256');
  const paths = globSync(['packages/*/src/**/*.ts', 'packages/*/package.json', 'packages/virga/*.ts'], {
    cwd: root,
  });
  for (const path of [...paths, 'package-lock.json', 'tsconfig.json'].sort()) {
    if (path.endsWith('.test.ts')) continue;
    hash
      .update(`${path}\0`)
      .update(readFileSync(join(root, path)))
      .update('\0');
  }
  return hash.digest('hex').slice(0, 16);
}

/** The build that a bundle says it is, in its first line. */
function builtHash(): string | undefined {
  if (!existsSync(bundle) || !existsSync(`${bundle}.map`)) return undefined;
  return /^\/\/ build ([0-9a-f]+)\n/.exec(readFileSync(bundle, 'utf8').slice(0, 100))?.[1];
}

const id = sourceHash();
if (builtHash() === id) {
  // bin/virga goes by the time: a checkout touches files that it does not change.
  utimesSync(bundle, new Date(), new Date());
} else {
  mkdirSync(folder, { recursive: true });
  const work = join(folder, `work-${process.pid}`);
  try {
    // The name is in the link from the bundle to its map, so the folder is what is temporary.
    await bundleProgram(join(root, 'packages/virga/src/main.ts'), join(work, 'virga.mjs'), id);
    renameSync(join(work, 'virga.mjs.map'), `${bundle}.map`);
    renameSync(join(work, 'virga.mjs'), bundle);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  console.error(`build: made dist/virga.mjs (build ${id})`);
}
