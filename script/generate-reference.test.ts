import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { errorRegistry } from '@virga/contract/errors';
import { errorsPage, referencePages, repositoryRoot } from './generate-reference.ts';

for (const [path, page] of Object.entries(referencePages)) {
  test(`${path} is what the code says`, async () => {
    const file = join(repositoryRoot, path);
    const written = existsSync(file) ? readFileSync(file, 'utf8') : '';
    const command = 'script/node --conditions=development script/generate-reference.ts';
    assert.ok(written === (await page()), `${path} is not up to date; run ${command}`);
  });
}

test('every error code has a line in the reference', () => {
  const page = errorsPage();
  for (const code of Object.keys(errorRegistry)) assert.ok(page.includes(`| \`${code}\` |`), code);
});
