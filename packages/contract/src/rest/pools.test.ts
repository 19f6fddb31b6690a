import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Check } from 'typebox/value';
import { CreatePool } from './pools.ts';

test('the path of a pool is absolute, and leads to one place', () => {
  const takes = (path: string) => Check(CreatePool, { name: 'fast', driver: 'directory', path });
  for (const path of ['/mnt/nvme', '/mnt/nvme/', '/srv/a.b/..c', '/data/.hidden']) assert.ok(takes(path), path);
  const wrong = ['/', '', 'mnt/nvme', '/mnt/../etc', '/mnt/.', '/mnt//nvme', '/mnt/a b', '/mnt/a,b', '/mnt/nvme//'];
  for (const path of wrong) assert.ok(!takes(path), path);
});
