import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, test } from 'node:test';
import { newId } from '@virga/contract/ids';
import { openTemporaryStore, type TemporaryStore } from '@virga/testing/temporary-store';
import { inTransaction } from '../../store/database.ts';
import { leaseAddress } from './address-store.ts';

let store: TemporaryStore;
before(async () => {
  store = await openTemporaryStore();
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
  return { id, name, cidr };
}

const lease = (of: Awaited<ReturnType<typeof network>>, now = new Date()) =>
  inTransaction(store.db, (tx) => leaseAddress(tx, store.access('operator'), of, now));

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
