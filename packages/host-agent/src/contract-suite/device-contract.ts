// Devices of a guest that runs: volumes and cards that are plugged and pulled, and limits, all without a restart.
import assert from 'node:assert/strict';
import type { DesiredInstance, DesiredNic, DesiredVolumeAttachment } from '@virga/contract/agent/desired';
import { newId } from '@virga/contract/ids';
import { type ContractTest, rejectsWith } from './contract-test.ts';
import { type ContractWorld, stopped } from './contract-world.ts';
import { aVolume, mebibyte } from './volume-contract.ts';

const attachment = (id: DesiredVolumeAttachment['id'], changes: Partial<DesiredVolumeAttachment> = {}) => ({
  id,
  target: 'vdc',
  readOnly: false,
  ...changes,
});

const changed = (desired: DesiredInstance, changes: Partial<DesiredInstance>): DesiredInstance => ({
  ...desired,
  ...changes,
  generation: desired.generation + 1,
});

/** Another card on the same network. */
function aNic(world: ContractWorld, desired: DesiredInstance): DesiredNic {
  const [first] = desired.nics;
  const mac = first!.mac.replace(/^52:54:00/, '52:54:01');
  const address = world.network.cidr.replace(/\.0\/24$/, `.${200 + (Number(first!.address.split('.')[3]) % 50)}`);
  return { id: newId('networkInterface'), networkId: world.network.id, mac, address };
}

export function deviceContract(test: ContractTest): void {
  const xmlOf = (world: ContractWorld, { id }: DesiredInstance) => world.agent.domainXml(id);
  const has = async (world: ContractWorld, desired: DesiredInstance, id: string) =>
    (await xmlOf(world, desired)).includes(`'ua-${id}'`);
  const leased = async (world: ContractWorld, { mac }: DesiredNic) =>
    (await world.observedNetwork())?.leases.find((lease) => lease.mac === mac)?.address;

  test('plugs a volume into a guest that runs, and pulls it, without a restart', async (world, t) => {
    const bare = await world.launched(t);
    const volume = aVolume(world, t);
    await world.agent.applyVolume(volume);
    const full = changed(bare, { volumes: [attachment(volume.id)] });
    for (let call = 0; call < 2; call++) assert.equal((await world.agent.applyInstance(full)).state, 'running');
    assert.ok(await has(world, full, volume.id));
    assert.match(await xmlOf(world, full), /<target dev='vdc' bus='virtio'\/>/);
    await rejectsWith('InUse', world.agent.deleteVolume(volume));
    const empty = changed(full, { volumes: [] });
    for (let call = 0; call < 2; call++) assert.equal((await world.agent.applyInstance(empty)).state, 'running');
    assert.equal(await has(world, full, volume.id), false);
    assert.equal(await world.bootCount(bare), 1);
  });

  test('a volume grows while a guest that runs has it', async (world, t) => {
    const base = world.instance(t);
    const volume = aVolume(world, t);
    await world.agent.applyVolume(volume);
    await world.launched(t, { ...base, volumes: [attachment(volume.id)] });
    const larger = { ...volume, generation: 2, sizeBytes: 80 * mebibyte };
    assert.equal((await world.agent.applyVolume(larger)).sizeBytes, 80 * mebibyte);
  });

  test('a volume comes back in another way when that is desired: to be read only, in another place', async (world, t) => {
    const base = world.instance(t);
    const volume = aVolume(world, t);
    await world.agent.applyVolume(volume);
    const desired = await world.launched(t, { ...base, volumes: [attachment(volume.id)] });
    await world.agent.applyInstance(
      changed(desired, { volumes: [attachment(volume.id, { target: 'vdd', readOnly: true })] }),
    );
    const xml = await xmlOf(world, desired);
    assert.match(xml, /<target dev='vdd' bus='virtio'\/>/);
    assert.doesNotMatch(xml, /<target dev='vdc'/);
    assert.equal(xml.match(/<readonly\/>/g)?.length, 2, 'beside the seed');
    assert.equal(await world.bootCount(desired), 1);
  });

  test('a guest that lets go of nothing keeps its volume, which is said, until it is off', async (world, t) => {
    const stubborn = world.stubbornInstance(t);
    const volume = aVolume(world, t);
    await world.agent.applyVolume(volume);
    const desired = await world.launched(t, { ...stubborn, volumes: [attachment(volume.id)] });
    const empty = changed(desired, { volumes: [] });
    await rejectsWith('GuestUnavailable', world.agent.applyInstance(empty));
    assert.ok(await has(world, desired, volume.id), 'it is still there');
    assert.equal((await world.observed(desired))?.state, 'running');
    const off = await world.agent.applyInstance(stopped(empty, -1));
    assert.equal(off.state, 'stopped');
    assert.equal(await has(world, desired, volume.id), false);
    await world.agent.deleteVolume(volume);
  });

  test('what is plugged into an instance that is off is there when it starts', async (world, t) => {
    const running = world.instance(t);
    const volume = aVolume(world, t);
    await world.agent.applyVolume(volume);
    const off = stopped(running);
    await world.agent.applyInstance(off);
    const nic = aNic(world, running);
    const full = changed(off, {
      power: { state: 'running' },
      volumes: [attachment(volume.id)],
      nics: [...running.nics, nic],
    });
    await world.agent.applyInstance(full);
    assert.ok((await has(world, full, volume.id)) && (await has(world, full, nic.id)));
    assert.equal(await leased(world, nic), nic.address);
  });

  test('a volume that is not there is refused, and the guest goes on', async (world, t) => {
    const desired = await world.launched(t);
    const full = changed(desired, { volumes: [attachment(newId('volume'))] });
    await rejectsWith('HypervisorRefused', world.agent.applyInstance(full));
    assert.equal((await world.observed(desired))?.state, 'running');
    assert.equal((await world.agent.applyInstance(changed(full, { volumes: [] }))).state, 'running');
    assert.equal(await world.bootCount(desired), 1);
  });

  test('plugs a card with its lease, and pulls it with its lease, also the last one', async (world, t) => {
    const desired = await world.launched(t);
    const nic = aNic(world, desired);
    const [first] = desired.nics;
    const both = changed(desired, { nics: [first!, nic] });
    await world.agent.applyInstance(both);
    assert.ok((await has(world, both, first!.id)) && (await has(world, both, nic.id)));
    assert.deepEqual([await leased(world, first!), await leased(world, nic)], [first!.address, nic.address]);
    const none = changed(both, { nics: [] });
    await world.agent.applyInstance(none);
    assert.deepEqual([await has(world, none, first!.id), await has(world, none, nic.id)], [false, false]);
    assert.deepEqual([await leased(world, first!), await leased(world, nic)], [undefined, undefined]);
    assert.equal(await world.bootCount(desired), 1);
  });

  test('the lease of a card goes with it, also when the instance is off', async (world, t) => {
    const desired = await world.launched(t);
    const off = stopped(desired, -1);
    await world.agent.applyInstance(off);
    await world.agent.applyInstance(changed(off, { nics: [] }));
    assert.equal(await leased(world, desired.nics[0]!), undefined);
  });

  test('limits disks of a guest that runs, changes the limits, and takes them away', async (world, t) => {
    const base = world.instance(t);
    const volume = aVolume(world, t);
    await world.agent.applyVolume(volume);
    const desired = await world.launched(t, { ...base, volumes: [attachment(volume.id, { limits: { iops: 100 } })] });
    assert.match(await xmlOf(world, desired), /<total_iops_sec>100</);
    const { rootDisk } = desired;
    const limits = { bytesPerSecond: mebibyte, burstBytesPerSecond: 2 * mebibyte, burstSeconds: 3 };
    const more = changed(desired, {
      rootDisk: { ...rootDisk, limits },
      volumes: [attachment(volume.id, { limits: { iops: 200 } })],
    });
    await world.agent.applyInstance(more);
    const xml = await xmlOf(world, desired);
    assert.match(xml, /<total_iops_sec>200</);
    assert.match(xml, /<total_bytes_sec>1048576</);
    assert.match(xml, /<total_bytes_sec_max>2097152</);
    assert.match(xml, /<total_bytes_sec_max_length>3</);
    await world.agent.applyInstance(changed(more, { rootDisk, volumes: [attachment(volume.id)] }));
    assert.doesNotMatch(await xmlOf(world, desired), /<iotune>/);
    assert.equal(await world.bootCount(desired), 1);
  });

  test('limits a card of a guest that runs, where the host can', async (world, t) => {
    if (!(await world.agent.facts()).nicLimits) return t.skip('the kernel of this host cannot');
    const desired = await world.launched(t);
    const [nic] = desired.nics;
    const limited = changed(desired, { nics: [{ ...nic!, limits: { inboundBytesPerSecond: 1_000_000 } }] });
    await world.agent.applyInstance(limited);
    assert.match(await xmlOf(world, desired), /<inbound average='1000'/);
    await world.agent.applyInstance(changed(limited, { nics: [nic!] }));
    assert.doesNotMatch(await xmlOf(world, desired), /<inbound/);
  });

  for (const step of ['attach-volume', 'attach-nic', 'limit-disk']) {
    test(`a call that is interrupted at ${step} is gone on with by the next agent`, async (world, t) => {
      const desired = await world.launched(t);
      const volume = aVolume(world, t);
      await world.agent.applyVolume(volume);
      const nic = aNic(world, desired);
      const full = changed(desired, {
        volumes: [attachment(volume.id)],
        nics: [...desired.nics, nic],
        rootDisk: { ...desired.rootDisk, limits: { iops: 500 } },
      });
      world.onStep(desired.id, (name) => {
        if (name === step) throw new Error('interrupted');
      });
      await assert.rejects(world.agent.applyInstance(full), /interrupted/);
      world.onStep(desired.id, () => undefined);
      const restarted = await world.harness.reopen();
      t.after(() => restarted.close());
      await restarted.applyInstance(full);
      const xml = await xmlOf(world, full);
      assert.equal(xml.match(new RegExp(`'ua-${volume.id}'`, 'g'))?.length, 1);
      assert.equal(xml.match(new RegExp(`'ua-${nic.id}'`, 'g'))?.length, 1);
      assert.match(xml, /<total_iops_sec>500</);
      assert.equal(await world.bootCount(desired), 1);
    });
  }

  test('an instance that is deleted leaves its volumes', async (world, t) => {
    const base = world.instance(t);
    const volume = aVolume(world, t);
    await world.agent.applyVolume(volume);
    const desired = await world.launched(t, { ...base, volumes: [attachment(volume.id)] });
    await world.agent.deleteInstance(desired);
    const left = (await world.agent.listVolumes(world.cloudId)).find(({ id }) => id === volume.id);
    assert.equal(left?.intact, true);
  });
}
