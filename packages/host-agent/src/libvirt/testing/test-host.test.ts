import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

test('no two test files that may run beside each other have networks of the same octet', () => {
  const folder = join(import.meta.dirname, '..');
  const users = new Map<string, string>();
  for (const path of globSync('**/*.test.ts', { cwd: folder })) {
    const text = readFileSync(join(folder, path), 'utf8');
    for (const [, octet] of text.matchAll(/(?:openTestHost\(|WarmHost\.open\(|openLibvirtHarness\(|\boctet: )(\d+)/g)) {
      assert.equal(users.get(octet!) ?? path, path, `octet ${octet}`);
      users.set(octet!, path);
    }
  }
  assert.ok(users.size > 10, 'they are found');
});
