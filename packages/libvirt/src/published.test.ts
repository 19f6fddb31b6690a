// The package as somebody else would install it: built, packed, unpacked, and its README's quick start run, under the plain
// conditions of Node and with the types that were shipped.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';

const packageFolder = join(import.meta.dirname, '..');
const tsc = join(packageFolder, '../../node_modules/.bin/tsc');
const run = promisify(execFile);

test('packed and installed elsewhere it is typed, and the quick start prints what the README says', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'virga-published-'));
  await using _ = { [Symbol.asyncDispose]: () => rm(folder, { recursive: true }) };

  const staged = join(folder, 'staged');
  for (const file of ['package.json', 'README.md', 'LICENSE']) await cp(join(packageFolder, file), join(staged, file));
  await run(tsc, ['-p', join(packageFolder, 'tsconfig.build.json'), '--outDir', join(staged, 'dist')]);
  const { stdout } = await run('npm', ['pack', '--ignore-scripts', '--json', '--cache', join(folder, 'npm')], {
    cwd: staged,
  });
  const [{ filename, files }] = JSON.parse(stdout) as [{ filename: string; files: { path: string }[] }];
  assert.deepEqual(
    files.filter(({ path }) => /\.test\.|^src|testing\//.test(path)),
    [],
  );

  const installed = join(folder, 'project/node_modules/@virga/libvirt');
  await mkdir(installed, { recursive: true });
  await run('tar', ['xf', join(staged, filename), '-C', installed, '--strip-components=1']);

  const readme = await readFile(join(packageFolder, 'README.md'), 'utf8');
  const [, code, printed] = /```ts\n([\s\S]*?)```\n```text\n([\s\S]*?)```/.exec(readme) ?? [];
  const project = join(folder, 'project');
  await writeFile(join(project, 'package.json'), '{ "type": "module" }');
  await writeFile(join(project, 'quick-start.ts'), code ?? '');
  const strict = ['--strict', '--target', 'esnext', '--module', 'nodenext', '--types', '', '--lib', 'esnext,dom'];
  await run(tsc, [...strict, '--noEmit', '--skipLibCheck', 'quick-start.ts'], { cwd: project });
  const { stdout: output } = await run(process.execPath, ['quick-start.ts'], { cwd: project });
  assert.equal(output, printed);
});
