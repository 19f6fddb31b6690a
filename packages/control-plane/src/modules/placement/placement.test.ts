import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import type { HostFacts } from '@virga/contract/agent/host-facts';
import type { HostId } from '@virga/contract/ids';
import { isWaitedFor } from '@virga/testing/blocked-transaction';
import { openTemporaryStore, type TemporaryStore } from '@virga/testing/temporary-store';
import { defaultSettings, systemClock } from '../../deps.ts';
import { inTransaction } from '../../store/database.ts';
import { recordFacts, recordUnreachable, registerHost } from '../hosts/host-operations.ts';
import { type Demand, place, placeOn, release } from './placement.ts';

let store: TemporaryStore;
before(async () => {
  store = await openTemporaryStore();
});
beforeEach(() => store.db.deleteFrom('hosts').execute());
after(() => store.close());

const facts = (name: string, memoryMib: number, storageFreeBytes = 1e12): HostFacts => ({
  name,
  arch: 'x86_64',
  cpuModel: 'test',
  cpuThreads: 4,
  memoryMib,
  storagePath: '/var/lib/virga',
  storageTotalBytes: 2e12,
  storageFreeBytes,
  storageDevices: [],
  diskAbilities: { directIo: true, ioUring: true },
  acceleration: { mode: 'tcg', reason: 'a test' },
  hypervisorVersion: '7.2.0',
  libvirtVersion: '9.0.0',
  kernelVersion: '6.1',
  cpus: [0, 1, 2, 3].map((id) => ({ id, node: 0, socket: 0, core: id, isolated: false })),
  numaNodes: [{ id: 0, memoryMib, hugePages: [] }],
  nicLimits: true,
  features: [],
  bootId: 'boot-1',
});

async function addHost(name: string, memoryMib: number, storageFreeBytes?: number): Promise<HostId> {
  const { db, system } = store;
  const id = await registerHost(db, system, { name, driver: 'simulated' });
  await recordFacts(db, system, id, facts(name, memoryMib, storageFreeBytes), defaultSettings, systemClock.now());
  return id;
}

const small: Demand = { vcpus: 1, memoryMib: 512 };
const launch = async (demand: Demand = small) =>
  (await inTransaction(store.db, (tx) => place(tx, store.system, demand))).id;
const hostRows = () => store.db.selectFrom('hosts').selectAll().orderBy('name').execute();

test('forty requests at once never promise more than the hosts have, and none is refused while there is room', async () => {
  await addHost('a', 512 + 8 * 512);
  await addHost('b', 512 + 4 * 512);
  const outcomes = await Promise.allSettled(Array.from({ length: 40 }, () => launch()));
  assert.equal(outcomes.filter((outcome) => outcome.status === 'fulfilled').length, 12);
  for (const outcome of outcomes) {
    if (outcome.status === 'rejected') assert.equal(outcome.reason.code, 'NoCapacity');
  }
  for (const host of await hostRows()) {
    assert.equal(host.allocated_memory_mib, host.schedulable_memory_mib, host.name);
    assert.ok(host.allocated_vcpus <= host.schedulable_vcpus, host.name);
  }
});

test('who comes while the last room is being taken waits for how that ends', async () => {
  const host = await addHost('a', 512 + 512);
  let waiting: Promise<HostId> | undefined;
  const failing = inTransaction(store.db, async (tx) => {
    await place(tx, store.system, small);
    waiting = launch();
    await isWaitedFor(tx);
    throw new Error('later');
  });
  await assert.rejects(failing, /later/);
  assert.equal(await waiting, host);
});

test('vCPUs are promised as sparingly as memory, and given back with it', async () => {
  const host = await addHost('a', 65_536);
  const { schedulable_vcpus: vcpus } = (await hostRows())[0]!;
  const half: Demand = { vcpus: vcpus / 2, memoryMib: 256 };
  const start = () => inTransaction(store.db, (tx) => placeOn(tx, store.system, host, half));
  await launch(half);
  await launch(half);
  await assert.rejects(launch(half), { name: 'NoCapacity' });
  await assert.rejects(start(), { name: 'NoCapacity', detail: /has 0 vCPU/ });
  await inTransaction(store.db, (tx) => release(tx, store.system, host, half));
  await start();
  await assert.rejects(launch(half), { name: 'NoCapacity' });
});

test('the host with the most free memory is chosen', async () => {
  await addHost('a', 4096);
  const large = await addHost('b', 8192);
  assert.equal(await launch(), large);
});

test('what is released can be promised again', async () => {
  const host = await addHost('a', 512 + 512);
  await launch();
  await assert.rejects(launch(), { name: 'NoCapacity' });
  await inTransaction(store.db, (tx) => release(tx, store.system, host, small));
  assert.equal(await launch(), host);
});

test('a transaction that fails after placement promises nothing', async () => {
  await addHost('a', 4096);
  const failing = inTransaction(store.db, async (tx) => {
    await place(tx, store.system, small);
    throw new Error('later');
  });
  await assert.rejects(failing, /later/);
  assert.equal((await hostRows())[0]?.allocated_memory_mib, 0);
});

test('each refusal says what is missing', async () => {
  await assert.rejects(launch(), { name: 'HostUnavailable' });
  const host = await addHost('a', 2048);
  await assert.rejects(launch({ vcpus: 1, memoryMib: 65_536 }), { name: 'InstanceTypeTooLarge', field: '/type' });
  const reason = { detail: 'libvirtd does not run.', action: 'Start it.' };
  await recordUnreachable(store.db, store.system, host, reason);
  await assert.rejects(launch(), { name: 'HostUnavailable', detail: /libvirtd does not run\.$/, action: 'Start it.' });
  await store.db.deleteFrom('hosts').execute();
  await addHost('full', 8192, 1e9);
  await assert.rejects(launch(), { name: 'StorageFull' });
});

test('of many that start on one host at once, as many are taken as it has room for', async () => {
  const host = await addHost('a', 512 + 3 * 512);
  const start = () => inTransaction(store.db, (tx) => placeOn(tx, store.system, host, small));
  const outcomes = await Promise.allSettled(Array.from({ length: 12 }, start));
  assert.equal(outcomes.filter(({ status }) => status === 'fulfilled').length, 3);
  assert.equal((await hostRows())[0]?.allocated_memory_mib, 3 * 512);
});

test('a stopped instance gets its room back on its own host, or an answer that says what is free', async () => {
  const host = await addHost('a', 512 + 1024);
  const other = await addHost('b', 8192);
  const start = (id: HostId) => inTransaction(store.db, (tx) => placeOn(tx, store.system, id, small));
  await start(host);
  await start(host);
  await assert.rejects(start(host), { name: 'NoCapacity' });
  await recordUnreachable(store.db, store.system, other, { detail: 'It is off.', action: 'Switch it on.' });
  await assert.rejects(start(other), { name: 'HostUnavailable' });
});
