import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { type TestContext, test } from 'node:test';
import { openServerLog, RotatingFile, trimForeignLog } from './server-log.ts';

function logPath(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'server-log-'));
  t.after(() => rmSync(folder, { recursive: true }));
  return join(folder, 'server.log');
}

test('the file has a JSON object a line, the stream lines for people, with the stack of an error', (t) => {
  const path = logPath(t);
  const stream = new PassThrough();
  const log = openServerLog({ path, level: 'info', stream });
  log.debug('not worth a line');
  log.child({ part: 'database' }).warn({ err: new Error('it broke') }, 'the database went away');
  const record = JSON.parse(readFileSync(path, 'utf8'));
  assert.equal(record.level, 'warn');
  assert.equal(record.part, 'database');
  assert.equal(record.err.message, 'it broke');
  assert.match(record.time, /^\d{4}-\d\d-\d\dT.*Z$/);
  assert.match(
    String(stream.read()),
    /^\d\d:\d\d:\d\d warn {2}the database went away part=database\nError: it broke\n/,
  );
});

test('a file that grew too large gets another name, and the oldest goes', (t) => {
  const path = logPath(t);
  const file = new RotatingFile(path, 10, 2);
  for (const line of ['first first\n', 'second second\n', 'third third\n', 'fourth fourth\n']) file.write(line);
  file.close();
  assert.equal(readFileSync(path, 'utf8'), 'fourth fourth\n');
  assert.equal(readFileSync(`${path}.1`, 'utf8'), 'third third\n');
  assert.equal(readFileSync(`${path}.2`, 'utf8'), 'second second\n');
  assert.equal(existsSync(`${path}.3`), false);
});

test('what an earlier server wrote counts, and is kept', (t) => {
  const path = logPath(t);
  writeFileSync(path, 'from before\n');
  const file = new RotatingFile(path, 10, 2);
  file.write('a\n');
  file.write('b\n');
  file.close();
  assert.equal(readFileSync(`${path}.1`, 'utf8'), 'from before\na\n');
  assert.equal(readFileSync(path, 'utf8'), 'b\n');
});

test('a log that cannot be written does not stop the server, and is written again when it can be', (t) => {
  const path = join(logPath(t), 'no-folder', 'server.log');
  const file = new RotatingFile(path, 10, 2);
  file.write('lost\n');
  assert.equal(existsSync(path), false);
});

test('the log of another process is cut short only when it is large', async (t) => {
  const path = logPath(t);
  writeFileSync(path, 'x'.repeat(20), { flag: 'a' });
  await trimForeignLog(path, 21);
  assert.equal(statSync(path).size, 20);
  await trimForeignLog(path, 20);
  assert.equal(statSync(path).size, 0);
  assert.equal(statSync(`${path}.1`).size, 20);
  await trimForeignLog(join(path, 'absent'), 20);
});
