// A `virga` to run as a program of its own, for what only a process shows: signals, closed pipes, a shell that calls it.
import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { bundleProgram } from './bundled-program.ts';

/** Writes the program into `folder`/bin and answers its path. It has the client commands only. */
export async function installCli(folder: string): Promise<string> {
  const main = JSON.stringify(fileURLToPath(import.meta.resolve('@virga/cli/main')));
  const entry = `import { runCli } from ${main};
const { stdin, stdout, stderr, env } = process;
process.exitCode = await runCli(process.argv.slice(2), { stdin, stdout, stderr, env });
`;
  const program = join(folder, 'bin/virga');
  await mkdir(dirname(program), { recursive: true });
  await writeFile(join(folder, 'entry.mts'), entry);
  await bundleProgram(join(folder, 'entry.mts'), join(folder, 'virga.mjs'));
  await writeFile(program, `#!/bin/sh\nexec '${process.execPath}' '${folder}/virga.mjs' "$@"\n`);
  await chmod(program, 0o755);
  return program;
}
