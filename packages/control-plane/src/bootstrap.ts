// What a new cloud starts with: its id, the first project, the administrator with an API key, and the instance types.
// All in one transaction, and any number of times: what is there is left as it is, but for password and key of the
// administrator, which become those that are given.
import { randomBytes } from 'node:crypto';
import type { UserId } from '@virga/contract/ids';
import type pg from 'pg';
import type { SystemAccess } from './access/authorizer.ts';
import { systemAccess } from './access/system-access.ts';
import { defaultInstanceTypes, insertInstanceType } from './modules/hosts/instance-type-operations.ts';
import { adoptApiKey } from './modules/identity/api-keys.ts';
import { adoptAdministrator } from './modules/identity/identity-operations.ts';
import { hashPassword } from './modules/identity/password.ts';
import { createSeal } from './modules/identity/seal.ts';
import { insertMember, insertProject } from './modules/projects/project-operations.ts';
import { type Db, inTransaction, openStore, type Tx } from './store/database.ts';
import { migrate } from './store/migrate.ts';

export type AdministratorCredentials = {
  user: string;
  password: string;
  accessKeyId: string;
  secret: string;
  project: string;
};

/** Makes sure that these credentials work. @throws StoreUnavailable */
export async function ensureAdministrator(
  database: pg.PoolConfig,
  sealKey: Buffer,
  { user, password, project, ...key }: AdministratorCredentials,
): Promise<void> {
  const store = openStore({ ...database, max: 2 });
  try {
    await migrate(store.db);
    const passwordHash = await hashPassword(password);
    const access = systemAccess('bootstrap');
    await inTransaction(store.db, async (tx) => {
      // One at a time, by the lock on this row: two first starts must not both find nothing.
      await ensureCloudId(tx);
      await tx.selectFrom('settings').selectAll().where('key', '=', cloudIdKey).forUpdate().execute();
      const projectId = await ensureProject(tx, access, project);
      const userId: UserId = await adoptAdministrator(tx, access, { name: user, passwordHash });
      await insertMember(tx, access, projectId, userId, 'admin');
      await adoptApiKey(tx, access, createSeal(sealKey), { userId, projectId, ...key });
      await ensureInstanceTypes(tx, access);
    });
  } finally {
    await store.close();
  }
}

export const cloudIdKey = 'cloudId';

/** The random id of this database, made once. What carries another one on a host is never touched. */
export async function ensureCloudId(db: Db | Tx): Promise<string> {
  await db
    .insertInto('settings')
    .values({ key: cloudIdKey, value: randomBytes(8).toString('hex') })
    .onConflict((conflict) => conflict.doNothing())
    .execute();
  const row = await db.selectFrom('settings').select('value').where('key', '=', cloudIdKey).executeTakeFirstOrThrow();
  return row.value;
}

async function ensureProject(tx: Tx, access: SystemAccess, name: string) {
  const found = await tx.selectFrom('projects').select('id').where('name', '=', name).executeTakeFirst();
  return found ? found.id : (await insertProject(tx, access, { name, description: 'The first project' })).id;
}

/** Only in a cloud that has none: who has deleted one does not want it back. */
async function ensureInstanceTypes(tx: Tx, access: SystemAccess): Promise<void> {
  const any = await tx.selectFrom('instance_types').select('name').limit(1).executeTakeFirst();
  if (any) return;
  for (const type of defaultInstanceTypes) await insertInstanceType(tx, access, type);
}
