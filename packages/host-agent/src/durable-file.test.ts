import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { finishFile, partialPath, writeFileDurably } from './durable-file.ts';

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'virga-durable-file.'));
});

afterEach(() => rm(folder, { recursive: true }));

test('a file has its content and its rights, whatever the mask of the process, and nothing else stays', async () => {
  const path = join(folder, 'file');
  await writeFile(path, 'before');
  const mask = process.umask(0o777);
  try {
    await writeFileDurably(path, 'content', 0o640);
  } finally {
    process.umask(mask);
  }
  assert.equal(await readFile(path, 'utf8'), 'content');
  assert.equal((await stat(path)).mode & 0o777, 0o640);
  assert.deepEqual(await readdir(folder), ['file']);
});

test('what a crash left under the temporary name is replaced, and no link is followed there', async () => {
  const path = join(folder, 'file');
  const other = join(folder, 'other');
  await writeFile(other, 'untouched');
  await symlink(other, partialPath(path));
  await writeFileDurably(path, 'content', 0o600);
  assert.equal(await readFile(other, 'utf8'), 'untouched');
  assert.equal(await readFile(path, 'utf8'), 'content');
});

test('writers of one file at the same moment take turns', async () => {
  const path = join(folder, 'file');
  const contents = Array.from({ length: 20 }, (_, number) => `content ${number}`);
  await Promise.all(contents.map((content) => writeFileDurably(path, content, 0o600)));
  assert.equal(await readFile(path, 'utf8'), 'content 19');
  assert.deepEqual(await readdir(folder), ['file']);
});

test('a file that somebody else made gets its name and its rights', async () => {
  const path = join(folder, 'file');
  await writeFile(partialPath(path), 'made', { mode: 0o666 });
  await finishFile(path, 0o400);
  assert.equal(await readFile(path, 'utf8'), 'made');
  assert.equal((await stat(path)).mode & 0o777, 0o400);
});
