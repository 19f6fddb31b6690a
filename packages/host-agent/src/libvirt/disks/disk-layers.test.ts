import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { activeFile, layeredSource, readLayers, writeLayers } from './disk-layers.ts';

test('a disk is the one file it was made as, until a list says that there are more', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'virga-layers.'));
  t.after(() => rm(folder, { recursive: true }));
  const first = join(folder, 'disk.qcow2');
  const base = { path: '/images/image', format: 'raw' as const, isShared: true };
  assert.deepEqual(await readLayers(first), ['disk.qcow2']);
  assert.deepEqual(await layeredSource(first, base), { path: first, format: 'qcow2', base });
  assert.equal(await activeFile(first), first);

  await writeLayers(first, ['disk.qcow2', 'one.qcow2', 'two.qcow2']);
  assert.equal(await activeFile(first), join(folder, 'two.qcow2'));
  assert.deepEqual(await layeredSource(first, base), {
    path: join(folder, 'two.qcow2'),
    format: 'qcow2',
    base: { path: join(folder, 'one.qcow2'), format: 'qcow2', base: { path: first, format: 'qcow2', base } },
  });
});
