// Machines of other kinds, and the discs in their drives.
import assert from 'node:assert/strict';
import { truncate, writeFile } from 'node:fs/promises';
import type { DesiredFileImage, DesiredInstance } from '@virga/contract/agent/desired';
import { newId } from '@virga/contract/ids';
import { type ContractTest, rejectsWith } from './contract-test.ts';
import { type ContractWorld, stopped } from './contract-world.ts';
import { tinyGuestDisc, tinyInstallerDisc } from './tiny-disc.ts';
import { aVolume } from './volume-contract.ts';

const kinds = ['virtio', 'emulated', 'legacy'] as const;

async function aDisc(world: ContractWorld, content = tinyGuestDisc()): Promise<DesiredFileImage> {
  const name = `disc-${newId('image').slice(4)}.iso`;
  const disc: DesiredFileImage = { ...world.image(name), kind: 'iso' };
  await writeFile(disc.source.path, content, { mode: 0o644 });
  world.discs.push(disc);
  return disc;
}

async function anImportedDisc(world: ContractWorld, content?: Buffer): Promise<DesiredFileImage> {
  const disc = await aDisc(world, content);
  await world.agent.importImage(disc);
  return disc;
}

const changed = (desired: DesiredInstance, changes: Partial<DesiredInstance>): DesiredInstance => ({
  ...desired,
  ...changes,
  generation: desired.generation + 1,
});

const emptyDisk = (desired: DesiredInstance) => ({ ...desired.rootDisk, imageId: null, sizeBytes: 4 * 1024 * 1024 });

export function hardwareContract(test: ContractTest): void {
  const xmlOf = (world: ContractWorld, { id }: Pick<DesiredInstance, 'id'>) => world.agent.domainXml(id);

  for (const hardware of kinds) {
    test(`a machine of ${hardware} hardware boots from its disk and answers the power button`, async (world, t) => {
      const desired = await world.launched(t, world.instance(t, { hardware }));
      await world.converge(stopped(desired), 'stopped');
    });

    test(`a machine of ${hardware} hardware is installed from a disc, and then boots from its disk`, async (world, t) => {
      const disc = await anImportedDisc(world, tinyInstallerDisc());
      const base = world.instance(t, { hardware, cdrom: { imageId: disc.id }, bootOrder: ['disk', 'cdrom'] });
      await world.launched(t, { ...base, rootDisk: emptyDisk(base) });
    });
  }

  for (const hardware of ['emulated', 'legacy'] as const) {
    test(`a machine of ${hardware} hardware keeps a volume that it was started with`, async (world, t) => {
      const base = world.instance(t, { hardware, cdrom: { imageId: null } });
      const volume = aVolume(world, t);
      await world.agent.applyVolume(volume);
      const desired = { ...base, volumes: [{ id: volume.id, target: 'vdc', readOnly: false }] };
      await world.launched(t, desired);
      assert.equal((await world.agent.applyInstance(changed(desired, {}))).state, 'running');
      assert.match(await xmlOf(world, desired), new RegExp(`'ua-${volume.id}'`));
    });
  }

  test('a disc boots when it comes first', async (world, t) => {
    const disc = await anImportedDisc(world);
    const base = world.instance(t, { cdrom: { imageId: disc.id }, bootOrder: ['cdrom', 'disk'] });
    await world.launched(t, { ...base, rootDisk: emptyDisk(base) });
  });

  test('the disk comes before the disc when the boot order says so', async (world, t) => {
    const disc = await anImportedDisc(world, tinyGuestDisc({ greets: 'from disc\r\n' }));
    await world.launched(t, world.instance(t, { cdrom: { imageId: disc.id }, bootOrder: ['disk', 'cdrom'] }));
  });

  test('a disc is inserted, changed and ejected while the guest runs', async (world, t) => {
    const [first, second] = [await anImportedDisc(world), await anImportedDisc(world)];
    let desired = await world.launched(t, world.instance(t, { cdrom: { imageId: null } }));
    for (const imageId of [first.id, second.id, null]) {
      desired = changed(desired, { cdrom: { imageId } });
      for (let call = 0; call < 2; call++) assert.equal((await world.agent.applyInstance(desired)).state, 'running');
      const xml = (await xmlOf(world, desired)).replace(/<metadata>.*<\/metadata>/s, '');
      for (const { id } of [first, second]) assert.equal(xml.includes(id), id === imageId, xml);
    }
    assert.equal(await world.bootCount(desired), 1);
  });

  test('a disc stays through a stop and a start, and can be changed in between', async (world, t) => {
    const [first, second] = [await anImportedDisc(world), await anImportedDisc(world)];
    const desired = await world.launched(t, world.instance(t, { cdrom: { imageId: first.id } }));
    const off = stopped(desired, 0);
    await world.converge(off, 'stopped');
    const other = changed(off, { cdrom: { imageId: second.id } });
    assert.equal((await world.agent.applyInstance(other)).state, 'stopped');
    await world.agent.deleteImage(first);
    await world.converge(changed(other, { power: { state: 'running' } }), 'running');
    assert.match(await xmlOf(world, desired), new RegExp(second.id));
  });

  test('an image is not deleted while it is in a drive', async (world, t) => {
    const disc = await anImportedDisc(world);
    const desired = await world.launched(t, world.instance(t, { cdrom: { imageId: disc.id } }));
    await rejectsWith('InUse', world.agent.deleteImage(disc));
    await world.agent.applyInstance(changed(desired, { cdrom: { imageId: null } }));
    await world.agent.deleteImage(disc);
  });

  test('what is ejected while the guest goes off is nobody’s', async (world, t) => {
    const disc = await anImportedDisc(world);
    const desired = await world.launched(t, world.instance(t, { cdrom: { imageId: disc.id } }));
    await world.converge({ ...stopped(desired, 0), cdrom: { imageId: null } }, 'stopped');
    await world.agent.deleteImage(disc);
  });

  test('a drive that was asked for while the guest runs is there at the next start', async (world, t) => {
    const disc = await anImportedDisc(world);
    const desired = await world.launched(t);
    const withDrive = changed(desired, { cdrom: { imageId: disc.id } });
    assert.equal((await world.agent.applyInstance(withDrive)).state, 'running');
    const off = stopped(withDrive, 0);
    await world.converge(off, 'stopped');
    await world.converge(changed(off, { power: { state: 'running' } }), 'running');
    assert.match(await xmlOf(world, desired), /device='cdrom'/);
  });

  test('a guest that has locked the tray keeps its disc, unless it is forced', async (world, t) => {
    const disc = await anImportedDisc(world);
    const base: DesiredInstance = { ...world.stubbornInstance(t), hardware: 'legacy', cdrom: { imageId: disc.id } };
    const full = await world.launched(t, base);
    const empty = changed(full, { cdrom: { imageId: null } });
    for (let call = 0; call < 2; call++) await rejectsWith('GuestUnavailable', world.agent.applyInstance(empty));
    assert.match(await xmlOf(world, full), new RegExp(`${disc.id}[^{]*<target`));
    await rejectsWith('InUse', world.agent.deleteImage(disc));
    const forced = changed(empty, { cdrom: { imageId: null, forced: true } });
    assert.equal((await world.agent.applyInstance(forced)).state, 'running');
    await world.agent.deleteImage(disc);
    assert.equal(await world.bootCount(full), 1);
  });

  test('says NotFound, and leaves nothing, when the disc is not on the host', async (world, t) => {
    const desired = world.instance(t, { cdrom: { imageId: newId('image') } });
    await rejectsWith('NotFound', world.agent.applyInstance(desired));
    assert.equal(await world.observed(desired), undefined);
  });

  test('says ImageUnusable of a disc that is none, or is not whole', async (world) => {
    const none = await aDisc(world, Buffer.alloc(1024 * 1024, 7));
    await rejectsWith('ImageUnusable', world.agent.importImage(none));
    const short = await aDisc(world, tinyGuestDisc());
    await truncate(short.source.path, 30_000);
    await rejectsWith('ImageUnusable', world.agent.importImage(short));
    const cut = tinyGuestDisc();
    cut.writeUInt32LE(1_000_000, 16 * 2048 + 80);
    await rejectsWith('ImageUnusable', world.agent.importImage(await aDisc(world, cut)));
  });

  test('a machine has Secure Boot, a TPM and a watchdog when they were asked for', async (world, t) => {
    const desired = world.instance(t, { firmware: 'uefi-secure', tpm: true, watchdog: 'pause', memoryMib: 128 });
    assert.equal((await world.agent.applyInstance(desired)).state, 'running');
    const xml = await xmlOf(world, desired);
    assert.match(xml, /<loader[^>]* secure='yes'/);
    assert.match(xml, /<tpm model='tpm-crb'>/);
    assert.match(xml, /<watchdog model='i6300esb' action='pause'/);
    const plain = changed(stopped(desired, 0), { firmware: 'bios', tpm: false, watchdog: null });
    await world.converge(plain, 'stopped');
    const boots = await world.bootCount(desired);
    await world.converge(changed(plain, { power: { state: 'running' } }), 'running');
    await world.booted(desired, boots + 1);
    assert.doesNotMatch(await xmlOf(world, desired), /<tpm|<watchdog model='i6300esb'|secure='yes'/);
  });
}
