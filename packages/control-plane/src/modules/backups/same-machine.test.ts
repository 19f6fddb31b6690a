// What a clone and a restored instance have of the machine that they are made of: each field of what a host is asked for is gone
// through, so that one that is new is decided about here.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { DesiredInstance } from '@virga/contract/agent/desired';
import { type InstanceId, newId } from '@virga/contract/ids';
import { SimulatedCloud } from '@virga/testing/simulated-cloud';
import { attachVolume } from '../instances/attach-volume.ts';
import { desiredInstanceOf, findInstanceOrder } from '../instances/instance-store.ts';
import { launchInstance } from '../instances/launch-instance.ts';
import { addNetworkInterface } from '../instances/network-interface-operations.ts';
import { resizeInstance } from '../instances/resize-instance.ts';
import { importKeyPair } from '../key-pairs/key-pair-operations.ts';
import { createNetwork } from '../networks/network-operations.ts';
import { cloneInstance } from '../snapshots/clone-operations.ts';
import { createVolume } from '../volumes/create-volume.ts';
import { createBackup } from './backup-operations.ts';
import { restoreBackup } from './restore-operations.ts';
import { createBackupStore } from './store-operations.ts';

let cloud: SimulatedCloud;
before(async () => {
  cloud = await SimulatedCloud.start({ settings: { resyncPeriodMs: 300, reconcilePeriodMs: 300 } });
  await cloud.prepare();
});
after(() => cloud.close());

type Part = 'same' | 'own' | ((desired: DesiredInstance) => unknown);

/** What of each field is as the original has it. `own`: of the one alone, or of what was asked of it since. */
const parts = {
  ...{ id: 'own', uuid: 'own', name: 'own', domainName: 'own', generation: 'own', keepsake: 'own' },
  ...{ cloudId: 'same', projectId: 'same', origin: 'same', description: 'same' },
  ...{ vcpus: 'same', maxVcpus: 'same', memoryMib: 'same', maxMemoryMib: 'same', cpu: 'same', memoryBacking: 'same' },
  ...{ hardware: 'same', firmware: 'same', tpm: 'same', watchdog: 'same', bootOrder: 'same' },
  // The drive, and not the disc in it.
  cdrom: ({ cdrom }) => cdrom !== null,
  rootDisk: ({ rootDisk: { sizeBytes, limits, driver } }) => ({ sizeBytes, limits, driver }),
  volumes: ({ volumes }) => volumes.map(({ id: _, ...rest }) => rest),
  nics: ({ nics }) => nics.map(({ networkId, limits }) => ({ networkId, limits })),
  seed: ({ seed }) => seed.publicKeys,
  power: 'same',
  ...{ reboot: 'own', settledDrift: 'own', warm: 'own', volatileWriteback: 'same' },
  // It is written for the devices of the one.
  overlay: 'own',
} as const satisfies Record<keyof DesiredInstance, Part>;

const desiredOf = async (id: InstanceId) =>
  desiredInstanceOf((await findInstanceOrder(cloud.deps.db, id))!, cloud.deps.cloudId);

async function assertAsIt(original: InstanceId, made: InstanceId, what: string): Promise<void> {
  const [one, other] = [await desiredOf(original), await desiredOf(made)];
  for (const [field, part] of Object.entries(parts) as [keyof DesiredInstance, Part][]) {
    if (part === 'own') continue;
    const read = part === 'same' ? (desired: DesiredInstance) => desired[field] : part;
    assert.deepEqual(read(other), read(one), `${field} of ${what}`);
  }
  const [{ tags, autostart, crashPolicy }, like] = [await cloud.instance(original), await cloud.instance(made)];
  assert.deepEqual([like.tags, like.autostart, like.crashPolicy], [tags, autostart, crashPolicy], what);
}

test('a clone and a restored instance are as the one that they are made of, in each setting of the machine', async () => {
  const { deps, operator, administrator } = cloud;
  assert.deepEqual(Object.keys(parts).toSorted(), Object.keys(DesiredInstance.properties).toSorted());
  const publicKey = `ssh-ed25519 ${Buffer.from(`\0\0\0\x0bssh-ed25519\0\0\0\x20${'k'.repeat(32)}`, 'latin1').toString('base64')}`;
  await importKeyPair(deps.db, operator, { name: 'key', publicKey });
  const store = await createBackupStore(deps, administrator, { name: 'main', path: `/stores/${newId('backupStore')}` });
  await cloud.succeeded(store.operationId);
  await cloud.succeeded((await createNetwork(deps, administrator, { name: 'lab', cidr: '10.88.0.0/24' })).operationId);
  const launched = await launchInstance(deps, operator, {
    ...{ name: 'odd', image: 'disk', type: 'tiny', keyPairs: ['key'], description: 'unusual', tags: { of: 'tests' } },
    ...{ firmware: 'uefi', tpm: true, watchdog: 'reset', cdrom: true, bootOrder: ['disk', 'cdrom'] },
    ...{ rootDiskLimits: { iops: 500 }, rootDiskDriver: { cache: 'none', discard: 'ignore' } },
    ...{ cpuShares: 300, cpuCapPercent: 80, noMerge: true, maxVcpus: 4, maxMemoryMib: 512 },
    ...{ autostart: 'never', crashPolicy: 'stop' },
  });
  const { id } = launched.instance;
  await cloud.succeeded(launched.operationId);
  await cloud.succeeded((await resizeInstance(deps, operator, id, { vcpus: 2 })).operationId);
  const nic = { network: 'lab', limits: { inboundBytesPerSecond: 5000 } };
  await cloud.succeeded((await addNetworkInterface(deps, operator, id, nic)).operationId);
  const volume = await createVolume(deps, operator, { name: 'odd-data', sizeGib: 1, instance: 'odd' });
  await cloud.succeeded(volume.operationId);
  const attachment = { volume: 'odd-data', limits: { bytesPerSecond: 9000 }, driver: { discard: 'ignore' } } as const;
  await cloud.succeeded((await attachVolume(deps, operator, id, attachment)).operationId);

  const clone = await cloneInstance(deps, operator, id, { name: 'clone' });
  await cloud.succeeded(clone.operationId);
  await assertAsIt(id, clone.instanceId, 'a clone');
  const { backup, operationId } = await createBackup(deps, operator, { instance: 'odd' });
  await cloud.succeeded(operationId);
  const restored = await restoreBackup(deps, operator, backup.id, { name: 'restored' });
  await cloud.succeeded(restored.operationId);
  await assertAsIt(id, restored.instanceId, 'a restored instance');
  // Of another type, and on another network, it is as that says.
  const elsewhere = await restoreBackup(deps, operator, backup.id, { name: 'elsewhere', network: 'lab' });
  await cloud.succeeded(elsewhere.operationId);
  assert.equal((await cloud.instance(elsewhere.instanceId)).networkInterfaces.length, 1);
});
