// A database of its own for a test: a clone of a migrated template, which is made once a cluster. Wants the run's private
// PostgreSQL (VIRGA_TEST_DATABASE), which script/test starts; without it every test that asks fails and says so.
import { createHash, randomBytes } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { openStore, type Store } from '@virga/control-plane/store/database';
import { migrate } from '@virga/control-plane/store/migrate';

type DatabaseConfig = Parameters<typeof openStore>[0];
export type TemporaryDatabase = { config: DatabaseConfig; drop(): Promise<void> };

/** Makes one. `drop` also ends connections that a test has left open. */
export async function createTemporaryDatabase(): Promise<TemporaryDatabase> {
  const cluster = clusterConfig();
  const name = `virga_test_${process.pid}_${randomBytes(6).toString('hex')}`;
  await withStore(cluster, async ({ pool }) => {
    const template = await ensureTemplate(cluster, pool);
    await pool.query(`create database ${name} template ${template}`);
  });
  return {
    config: { ...cluster, database: name },
    drop: () => withStore(cluster, async ({ pool }) => void (await pool.query(`drop database ${name} with (force)`))),
  };
}

function clusterConfig(): DatabaseConfig {
  const text = process.env.VIRGA_TEST_DATABASE;
  if (!text) throw new Error('VIRGA_TEST_DATABASE is not set: run this test with script/test, which starts PostgreSQL');
  return { database: 'postgres', ...JSON.parse(text) };
}

/** One lock for all test processes: the first makes the template, the others wait for it. */
const templateLock = 7_140_001;

/** @returns the name of a migrated database that nobody is connected to */
async function ensureTemplate(cluster: DatabaseConfig, pool: Store['pool']): Promise<string> {
  const name = `virga_template_${migrationsDigest()}`;
  const session = await pool.connect();
  try {
    await session.query('select pg_advisory_lock($1)', [templateLock]);
    const { rowCount } = await session.query('select from pg_database where datname = $1', [name]);
    if (rowCount === 0) {
      const draft = `${name}_draft`;
      await session.query(`drop database if exists ${draft} with (force)`);
      await session.query(`create database ${draft}`);
      await withStore({ ...cluster, database: draft }, ({ db }) => migrate(db));
      await session.query(`alter database ${draft} rename to ${name}`);
    }
    return name;
  } finally {
    session.release(true); // ends the session, and its lock with it
  }
}

/** Changes with every migration, so that a template of another version is never cloned. */
function migrationsDigest(): string {
  const folder = new URL('migrations/', import.meta.resolve('@virga/control-plane/store/migrate'));
  const hash = createHash('sha256');
  for (const file of readdirSync(fileURLToPath(folder)).sort())
    hash.update(file).update(readFileSync(new URL(file, folder)));
  return hash.digest('hex').slice(0, 16);
}

async function withStore<T>(config: DatabaseConfig, work: (store: Store) => Promise<T>): Promise<T> {
  const store = openStore({ ...config, max: 2 });
  try {
    return await work(store);
  } finally {
    await store.close();
  }
}
