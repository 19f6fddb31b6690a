import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';
import { lintTree } from './lint/tree.ts';

const root = join(import.meta.dirname, '..');
const run = (tool: string, ...args: string[]) => {
  const { status, stdout, stderr } = spawnSync(join(root, 'node_modules/.bin', tool), args, { cwd: root });
  assert.equal(status, 0, `${stdout}${stderr}`);
};

test('the types fit', () => run('tsc', '-p', 'tsconfig.json'));
test('lint and format find nothing', () => run('biome', 'check', '--colors=off', '.'));
test('the tree keeps the rules of the design', () => assert.deepEqual(lintTree(root), []));
