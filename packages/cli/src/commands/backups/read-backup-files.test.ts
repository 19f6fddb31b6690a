// What a person at a terminal sees while a backup is opened, and what comes of a file that is fetched.
import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
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

test('a file is written as it is, piece by piece, to standard output or to a folder; a folder is listed, and not written', async (t) => {
  const content = Buffer.from([0, 0xff, 0xfe, 0x0d, 0x0a, 0x80, 0x00, 0x41]);
  const cloud: Handlers = {
    ...{ getBackup },
    readBackupFile: ({ query: { path, offset = 0 } }) => {
      if (path === '/etc') return backupAnswers.readBackupFile();
      const piece = content.subarray(offset, offset + 3);
      const truncated = offset + piece.length < content.length;
      return { kind: 'file', sizeBytes: content.length, content: piece.toString('base64'), truncated };
    },
  };
  await using server = await serveContract(cloud);
  await using cli = await captureCli(server.url);
  const opened = ['backups', 'files', aBackup().id, '--opened'];
  const written: Buffer[] = [];
  await cli.run([...opened, '--path', '/etc/key'], { onBytes: (bytes) => void written.push(bytes) });
  assert.deepEqual(Buffer.concat(written), content);
  const folder = await mkdtemp(join(tmpdir(), 'files-'));
  t.after(() => rm(folder, { recursive: true }));
  const run = await cli.run([...opened, '--path', '/etc/key', '--to', folder]);
  assert.equal(run.exit, 0, run.stderr);
  assert.deepEqual(await readFile(join(folder, 'key')), content);
  const refused = await cli.run([...opened, '--path', '/etc', '--to', join(folder, 'etc')]);
  assert.notEqual(refused.exit, 0);
  assert.match(refused.stderr, /is a folder, and files are fetched one by one/);
  assert.deepEqual(await readdir(folder), ['key']);
});
