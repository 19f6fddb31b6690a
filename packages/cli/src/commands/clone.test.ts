import assert from 'node:assert/strict';
import { test } from 'node:test';
import { captureCli } from '@virga/testing/captured-cli';
import { anInstance } from '@virga/testing/contract-examples';
import { serveContract } from '@virga/testing/contract-server';

test('of what has a TPM it is said that the clone has another, which is empty', async () => {
  for (const tpm of [false, true]) {
    const web = anInstance({ tpm });
    await using server = await serveContract({
      listInstances: () => ({ items: [web] }),
      cloneInstance: () => ({ instanceId: 'i-00000000000000002', operationId: 'op-00000000000000001' }),
    });
    await using cli = await captureCli(server.url);
    const run = await cli.run(['clone', 'web', 'web-test']);
    assert.equal(run.exit, 0, run.stderr);
    assert.equal(run.stderr.includes('The TPM of web-test is a new one, which is empty.'), tpm);
  }
});
