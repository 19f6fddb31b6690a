import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, test } from 'node:test';
import { newId } from '@virga/contract/ids';
import { openTemporaryStore, type TemporaryStore } from '@virga/testing/temporary-store';
import { until } from '@virga/testing/until';
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

const leaseIn = (tx: Tx, of: Network, now = new Date()) =>
  leaseAddress(tx, store.access('operator'), of, newId('networkInterface'), now);

const lease = (of: Network, now?: Date) => inTransaction(store.db, (tx) => leaseIn(tx, of, now));

/** Resolves when another transaction waits for this one. */
async function isWaitedFor(tx: Tx): Promise<void> {
  await until('somebody waits for the transaction', async () => {
    const { rows } = await sql`
      select from pg_stat_activity where pg_backend_pid() = any (pg_blocking_pids(pid))`.execute(tx);
    return rows.length > 0;
  });
}

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

test('a released address rests for a minute, unless no other is left', async () => {
  const of = await network('10.213.0.0/29');
  for (let count = 0; count < 5; count++) await lease(of);
  await assert.rejects(lease(of), { code: 'AddressesExhausted' });
  const released = new Date();
  await store.db
    .updateTable('addresses')
    .set({ released_at: released })
    .where('network_id', '=', of.id)
    .where('address', 'in', ['10.213.0.3', '10.213.0.4'])
    .execute();
  assert.equal(await lease(of, new Date(released.getTime() + 1_000)), '10.213.0.3', 'none is left that has rested');
  assert.equal(await lease(of, new Date(released.getTime() + 61_000)), '10.213.0.4');
});

test('an address that was given up is not handed on while another has rested or was never held', async () => {
  const of = await network('10.214.0.0/24');
  for (let count = 0; count < 3; count++) await lease(of);
  const released = new Date();
  await store.db
    .updateTable('addresses')
    .set({ released_at: released })
    .where('network_id', '=', of.id)
    .where('address', '=', '10.214.0.2')
    .execute();
  assert.equal(await lease(of, new Date(released.getTime() + 59_000)), '10.214.0.5');
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
