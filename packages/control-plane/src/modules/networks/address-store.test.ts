import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, test } from 'node:test';
import { newId } from '@virga/contract/ids';
import { isWaitedFor } from '@virga/testing/blocked-transaction';
import { openTemporaryStore, type TemporaryStore } from '@virga/testing/temporary-store';
import { sql } from 'kysely';
import { inTransaction, type Tx } from '../../store/database.ts';
import { addressRange } from './address-pool.ts';
import { insertAddresses, leaseAddress } from './address-store.ts';

let store: TemporaryStore;
before(async () => {
  store = await openTemporaryStore();
  // Addresses are leased here without the instances that they are for.
  await sql`alter table addresses drop constraint addresses_nic_id_fkey`.execute(store.db);
});
after(() => store.close());

async function network(cidr: string) {
  const id = newId('network');
  const name = id.toLowerCase();
  await store.db
    .insertInto('networks')
    .values({
      id,
      project_id: store.projectId,
      name,
      visibility: 'private',
      cidr,
      gateway: cidr.replace(/\.0\/\d+$/, '.1'),
      bridge: id.slice(0, 15),
      uuid: randomUUID(),
      failure: null,
    })
    .execute();
  await inTransaction(store.db, (tx) => insertAddresses(tx, store.system, id, addressRange(cidr)));
  return { id, name, cidr };
}

type Network = Awaited<ReturnType<typeof network>>;

const leaseIn = (tx: Tx, of: Network) => leaseAddress(tx, store.access('operator'), of, newId('networkInterface'));

const lease = (of: Network) => inTransaction(store.db, (tx) => leaseIn(tx, of));

/** Rows of addresses that the transaction has read so far. */
async function rowsRead(tx: Tx): Promise<number> {
  const { rows } = await sql<{ count: number }>`
    select seq_tup_read + idx_tup_fetch as count from pg_stat_xact_user_tables where relname = 'addresses'`.execute(tx);
  return rows[0]!.count;
}

test('nobody gets an address that another one holds, also beyond the tenth', async () => {
  const of = await network('10.211.0.0/24');
  const leased: string[] = [];
  for (let count = 0; count < 14; count++) leased.push(await lease(of));
  assert.deepEqual(
    leased,
    Array.from({ length: 14 }, (_, index) => `10.211.0.${index + 2}`),
  );
});

test('leases that are asked for at once are all different', async () => {
  const of = await network('10.212.0.0/24');
  const leased = await Promise.all(Array.from({ length: 20 }, () => lease(of)));
  assert.equal(new Set(leased).size, 20);
});

/** As when its instance is deleted. */
const release = (of: Network, address: string, at: Date) =>
  store.db
    .updateTable('addresses')
    .set({ nic_id: null, released_at: at })
    .where('network_id', '=', of.id)
    .where('address', '=', address)
    .execute();

test('an address that nobody has held comes before those that were given up, and of those the one that is free longest', async () => {
  const of = await network('10.213.0.0/29');
  for (let count = 0; count < 4; count++) await lease(of);
  await release(of, '10.213.0.3', new Date(2_000));
  await release(of, '10.213.0.4', new Date(1_000));
  const leased = [await lease(of), await lease(of), await lease(of)];
  assert.deepEqual(leased, ['10.213.0.6', '10.213.0.4', '10.213.0.3']);
  await assert.rejects(lease(of), { code: 'AddressesExhausted' });
});

test('two launches at the same moment take different addresses without waiting for each other', async () => {
  const of = await network('10.215.0.0/24');
  await lease(of);
  const leased = await inTransaction(store.db, async (tx) => [await leaseIn(tx, of), await lease(of)]);
  assert.deepEqual(leased, ['10.215.0.3', '10.215.0.4']);
});

test('an address that a failed launch had taken is free again', async () => {
  const of = await network('10.216.0.0/30');
  const failing = inTransaction(store.db, async (tx) => {
    await leaseIn(tx, of);
    throw new Error('later');
  });
  await assert.rejects(failing, /later/);
  assert.equal(await lease(of), '10.216.0.2');
});

test('who comes while the last address is being taken waits for how that ends', async () => {
  const of = await network('10.217.0.0/29');
  for (let count = 0; count < 4; count++) await lease(of);
  let waiting: Promise<string> | undefined;
  const failing = inTransaction(store.db, async (tx) => {
    await leaseIn(tx, of);
    waiting = lease(of);
    await isWaitedFor(tx);
    throw new Error('later');
  });
  await assert.rejects(failing, /later/);
  assert.equal(await waiting, '10.217.0.6');
});

test('a network that is being deleted leases nothing, also to one who came while that was asked for', async () => {
  const of = await network('10.218.0.0/29');
  await lease(of);
  let waiting: Promise<unknown> | undefined;
  await inTransaction(store.db, async (tx) => {
    await tx.selectFrom('networks').select('id').where('id', '=', of.id).forUpdate().execute();
    waiting = assert.rejects(lease(of), { code: 'Conflict', field: '/network' });
    await isWaitedFor(tx);
    await tx.updateTable('networks').set({ desired: 'deleted' }).where('id', '=', of.id).execute();
  });
  await waiting;
  await assert.rejects(lease(of), { code: 'Conflict', field: '/network' });
});

test('a lease reads a handful of rows, however many addresses are leased', async () => {
  const of = await network('10.219.0.0/16');
  await sql`update addresses set released_at = null
    where network_id = ${of.id} and address <= '10.219.234.97'`.execute(store.db);
  await sql`vacuum analyze addresses`.execute(store.db);
  await inTransaction(store.db, async (tx) => {
    assert.equal(await leaseIn(tx, of), '10.219.234.98', 'the first one that nobody holds');
    const before = await rowsRead(tx);
    await leaseIn(tx, of);
    const read = (await rowsRead(tx)) - before;
    assert.ok(read > 0 && read < 10, `${read} rows were read`);
  });
});
