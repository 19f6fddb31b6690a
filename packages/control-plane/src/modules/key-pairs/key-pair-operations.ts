// Key pairs of a project.
import { VirgaError } from '@virga/contract/errors';
import { type KeyPairId, newId } from '@virga/contract/ids';
import type { KeyPair } from '@virga/contract/rest/key-pairs';
import type { Selectable } from 'kysely';
import type { ProjectAccess } from '../../access/authorizer.ts';
import { appendEvent } from '../../events/event-log.ts';
import { brokenConstraint, type Db, inTransaction, type Tx } from '../../store/database.ts';
import { type Idempotency, onceOnly } from '../../store/once-only.ts';
import { fetchPage, type PageRequest } from '../../store/page.ts';
import type { Database } from '../../store/schema.ts';
import { parsePublicKey } from './public-key.ts';

export async function importKeyPair(
  db: Db,
  access: ProjectAccess<'operator'>,
  { name, publicKey }: { name: string; publicKey: string },
  idempotency?: Idempotency,
): Promise<KeyPair> {
  const { line, fingerprint } = parsePublicKey(publicKey);
  try {
    return await onceOnly(db, idempotency, async (tx) => {
      const row = await tx
        .insertInto('key_pairs')
        .values({ id: newId('keyPair'), project_id: access.projectId, name, public_key: line, fingerprint })
        .returningAll()
        .executeTakeFirstOrThrow();
      await appendEvent(tx, access, {
        type: 'key-pair.imported',
        projectId: access.projectId,
        resourceId: row.id,
        resourceName: name,
        message: `Key pair ${name} was imported.`,
        data: { fingerprint },
      });
      return toKeyPair(row);
    });
  } catch (error) {
    if (brokenConstraint(error) !== 'key_pairs_name_taken') throw error;
    throw new VirgaError('NameTaken', {
      detail: `A key pair named ${name} exists.`,
      action: 'Choose another name, or delete that one.',
      field: '/name',
    });
  }
}

export async function listKeyPairs(db: Db, access: ProjectAccess, { name, ...page }: PageRequest & { name?: string }) {
  let query = db.selectFrom('key_pairs').selectAll().where('project_id', '=', access.projectId);
  if (name !== undefined) query = query.where('name', '=', name);
  return fetchPage(query, 'key_pairs', page, toKeyPair);
}

export async function getKeyPair(db: Db, access: ProjectAccess, id: KeyPairId): Promise<KeyPair> {
  const row = await db
    .selectFrom('key_pairs')
    .selectAll()
    .where('id', '=', id)
    .where('project_id', '=', access.projectId)
    .executeTakeFirst();
  if (!row) throw keyPairNotFound(id);
  return toKeyPair(row);
}

export async function deleteKeyPair(db: Db, access: ProjectAccess<'operator'>, id: KeyPairId): Promise<void> {
  await inTransaction(db, async (tx) => {
    const row = await tx
      .deleteFrom('key_pairs')
      .where('id', '=', id)
      .where('project_id', '=', access.projectId)
      .returning('name')
      .executeTakeFirst();
    if (!row) throw keyPairNotFound(id);
    await appendEvent(tx, access, {
      type: 'key-pair.deleted',
      projectId: access.projectId,
      resourceId: id,
      resourceName: row.name,
      message: `Key pair ${row.name} was deleted.`,
    });
  });
}

/** The public keys of these names, in their order. @throws NotFound naming the first that does not exist */
export async function resolveKeyPairs(
  tx: Tx,
  access: ProjectAccess,
  names: string[],
): Promise<{ name: string; publicKey: string }[]> {
  if (names.length === 0) return [];
  const rows = await tx
    .selectFrom('key_pairs')
    .select(['name', 'public_key'])
    .where('project_id', '=', access.projectId)
    .where('name', 'in', names)
    .execute();
  return names.map((name, index) => {
    const row = rows.find((candidate) => candidate.name === name);
    if (!row) {
      throw new VirgaError('NotFound', {
        detail: `There is no key pair named ${name}.`,
        action: 'List key pairs with virga keys list, or import one with virga keys import.',
        field: `/keyPairs/${index}`,
      });
    }
    return { name, publicKey: row.public_key };
  });
}

function keyPairNotFound(id: KeyPairId): VirgaError {
  return new VirgaError('NotFound', {
    detail: `There is no key pair ${id}.`,
    action: 'List key pairs with virga keys list.',
  });
}

function toKeyPair(row: Selectable<Database['key_pairs']>): KeyPair {
  return {
    id: row.id,
    projectId: row.project_id,
    name: row.name,
    publicKey: row.public_key,
    fingerprint: row.fingerprint,
    createdAt: row.created_at.toISOString(),
  };
}
