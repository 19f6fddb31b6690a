// Golden files: what a pure function wrote when somebody last looked at it with care. VIRGA_TEST_WRITE_GOLDEN=1 writes them
// anew, for the change to be read in the diff.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';

const schemas = '/usr/share/libvirt/schemas';

export function assertGolden(path: string, text: string): void {
  if (process.env.VIRGA_TEST_WRITE_GOLDEN === '1') writeFileSync(path, `${text}\n`);
  assert.equal(`${text}\n`, readFileSync(path, 'utf8'));
}

/** Checks a file against libvirt's own schema. @param schema such as `domain` */
export async function assertValid(path: string, schema: string): Promise<void> {
  await promisify(execFile)('xmllint', ['--noout', '--relaxng', join(schemas, `${schema}.rng`), path]);
}
