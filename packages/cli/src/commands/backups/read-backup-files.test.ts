// What a person at a terminal sees while a backup is opened.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { toProblem, VirgaError } from '@virga/contract/errors';
import { aBackup, backupAnswers } from '@virga/testing/backup-examples';
import { captureCli } from '@virga/testing/captured-cli';
import { anOperation } from '@virga/testing/contract-examples';
import { type Handlers, serveContract } from '@virga/testing/contract-server';

const { getBackup, openBackup, readBackupFile } = backupAnswers;
const words = ['backups', 'files', aBackup().id, '--path', '/etc'];
const [hideCursor, showCursor] = ['\u001b[?25l', '\u001b[?25h'];
const failure = toProblem(new VirgaError('OperationFailed', { detail: 'The store is away.', action: 'Mount it.' }));

for (const [what, operation, exit] of [
  ['is open', anOperation(), 0],
  ['cannot be opened', anOperation({ state: 'failed', error: failure }), 8],
] as const) {
  test(`the terminal is given back when a backup ${what}`, async () => {
    const cloud: Handlers = { getBackup, openBackup, readBackupFile, getOperation: () => operation };
    await using server = await serveContract(cloud);
    await using cli = await captureCli(server.url);
    const run = await cli.run(words, { columns: 80 });
    assert.equal(run.exit, exit, run.stderr);
    assert.ok(run.stderr.includes(hideCursor), 'a bar was shown');
    assert.ok(run.stderr.lastIndexOf(showCursor) > run.stderr.lastIndexOf(hideCursor), JSON.stringify(run.stderr));
  });
}
