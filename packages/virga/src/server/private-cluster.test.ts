import assert from 'node:assert/strict';
import {
  chmodSync,
  existsSync,
  globSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { until } from '@virga/testing/until';
import pg from 'pg';
import { runCommand } from '../machine/run-command.ts';
import { createDatabaseUser, databaseUser, databaseUserExists } from './folders.ts';
import { type PrivateClusterOptions, startPrivateCluster, stopAbandonedCluster } from './private-cluster.ts';

function place(t: TestContext): PrivateClusterOptions {
  assert.ok(process.env.VIRGA_TEST_NAMESPACE, 'run it with script/test: it makes a user');
  if (!databaseUserExists()) createDatabaseUser();
  const folder = mkdtempSync(join(tmpdir(), 'pg-'));
  chmodSync(folder, 0o711);
  t.after(async () => {
    await stopAbandonedCluster(join(folder, 'data'));
    rmSync(folder, { recursive: true });
  });
  return { dataFolder: join(folder, 'data'), runFolder: join(folder, 'run'), user: databaseUser };
}

async function query(config: pg.PoolConfig, text: string): Promise<Record<string, unknown>[]> {
  const client = new pg.Client(config);
  client.on('error', () => {});
  await client.connect();
  try {
    return (await client.query(text)).rows;
  } finally {
    await client.end();
  }
}

const postmasterPid = ({ dataFolder }: PrivateClusterOptions) =>
  Number(readFileSync(join(dataFolder, 'postmaster.pid'), 'utf8').split('\n')[0]);

test('a cluster is durable, private, owned by its user, and has data checksums', async (t) => {
  const options = place(t);
  const cluster = await startPrivateCluster(options);
  assert.equal(cluster.adopted, false);
  const [settings] = await query(
    cluster.config,
    `select current_setting('fsync') fsync, current_setting('full_page_writes') pages,
      current_setting('synchronous_commit') commit, current_setting('listen_addresses') listen,
      current_setting('data_checksums') checksums, current_setting('huge_pages') huge_pages, current_user as user, current_database() as database`,
  );
  assert.deepEqual(settings, {
    fsync: 'on',
    pages: 'on',
    commit: 'on',
    listen: '',
    checksums: 'on',
    huge_pages: 'off',
    user: databaseUser,
    database: databaseUser,
  });
  const data = statSync(options.dataFolder);
  assert.equal(data.mode & 0o777, 0o700);
  assert.notEqual(data.uid, 0);
  assert.equal(statSync(join(options.runFolder, 'postgresql')).mode & 0o777, 0o700);
  await cluster.stop();
  await assert.rejects(query(cluster.config, 'select 1'), { code: 'ENOENT' });
});

test('what was written is there after a stop and a start', async (t) => {
  const options = place(t);
  const first = await startPrivateCluster(options);
  await query(first.config, 'create table kept as select 7 as number');
  await first.stop();
  const second = await startPrivateCluster(options);
  assert.deepEqual(await query(second.config, 'select number from kept'), [{ number: 7 }]);
  await second.stop();
});

test('a cluster that runs without a server is adopted, not started again', async (t) => {
  const options = place(t);
  await (await startPrivateCluster(options)).leave();
  const pid = postmasterPid(options);
  const cluster = await startPrivateCluster(options);
  assert.equal(cluster.adopted, true);
  assert.equal(postmasterPid(options), pid);
  await cluster.stop();
  assert.equal(existsSync(join(options.dataFolder, 'postmaster.pid')), false);
});

test('a cluster that is killed comes back by itself, started or adopted, with what was acknowledged', async (t) => {
  const options = place(t);
  const said: string[] = [];
  await (await startPrivateCluster(options)).leave();
  const cluster = await startPrivateCluster({ ...options, report: (message) => said.push(message) });
  await query(cluster.config, 'create table kept (number int)');
  for (const number of [1, 2]) {
    await query(cluster.config, `insert into kept values (${number})`);
    const pid = postmasterPid(options);
    process.kill(pid, 'SIGKILL');
    const rows = await until('the database is back', async () => {
      const found = await query(cluster.config, 'select count(*)::int as count from kept').catch(() => undefined);
      return postmasterPid(options) !== pid && found;
    });
    assert.deepEqual(rows, [{ count: number }]);
  }
  await until('it is told', () => /went away[\s\S]*is back/.test(said.join('\n')));
  await cluster.stop();
});

test('a cluster whose making was interrupted is made anew', async (t) => {
  const options = place(t);
  const unfinished = `${options.dataFolder}.new`;
  mkdirSync(join(unfinished, 'base'), { recursive: true });
  writeFileSync(join(unfinished, 'PG_VERSION'), '15\n');
  const cluster = await startPrivateCluster(options);
  assert.deepEqual(await query(cluster.config, 'select 1 as one'), [{ one: 1 }]);
  assert.equal(existsSync(unfinished), false);
  await cluster.stop();
});

test('a socket and a process id that a crash left behind are no obstacle', async (t) => {
  const options = place(t);
  const first = await startPrivateCluster(options);
  const pid = postmasterPid(options);
  await first.leave();
  process.kill(pid, 'SIGKILL');
  // Neither is taken away by a server that dies so.
  assert.equal(postmasterPid(options), pid);
  assert.equal(globSync(join(options.runFolder, 'postgresql/.s.PGSQL.*')).length, 2);
  const second = await startPrivateCluster(options);
  assert.deepEqual(await query(second.config, 'select 1 as one'), [{ one: 1 }]);
  await second.stop();
});

test('a backup taken while it runs is a cluster that starts', async (t) => {
  const options = place(t);
  const cluster = await startPrivateCluster(options);
  await query(cluster.config, 'create table kept as select 7 as number');
  const backup = place(t);
  const programs = dirname(globSync('/usr/lib/postgresql/*/bin/pg_basebackup')[0]!);
  const folder = join(options.runFolder, 'postgresql');
  await runCommand([
    join(programs, 'pg_basebackup'),
    '--host',
    folder,
    '--checkpoint',
    'fast',
    '--username',
    databaseUser,
    '--pgdata',
    backup.dataFolder,
  ]);
  await runCommand(['chown', '--recursive', databaseUser, backup.dataFolder]);
  await cluster.stop();
  const restored = await startPrivateCluster(backup);
  assert.deepEqual(await query(restored.config, 'select number from kept'), [{ number: 7 }]);
  await restored.stop();
});

test('data of a version that is not installed is refused with what to install', async (t) => {
  const options = place(t);
  mkdirSync(options.dataFolder, { mode: 0o700 });
  writeFileSync(join(options.dataFolder, 'PG_VERSION'), '9\n');
  await assert.rejects(startPrivateCluster(options), {
    name: 'OperationFailed',
    action: 'Install it: apt-get install postgresql-9',
  });
});

test('a database that does not start says why', async (t) => {
  const options = place(t);
  await (await startPrivateCluster(options)).stop();
  rmSync(join(options.dataFolder, 'global'), { recursive: true });
  await assert.rejects(startPrivateCluster({ ...options, startTimeoutMs: 300 }), {
    name: 'OperationFailed',
    detail: /its log ends with: .*global/,
  });
});
