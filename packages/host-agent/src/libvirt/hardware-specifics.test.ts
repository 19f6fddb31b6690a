// What only real firmware and real programs can show of a machine: that Secure Boot starts what is signed and nothing else,
// that a TPM has a process and a state, that both are gone with the instance, and that a watchdog bites.
import assert from 'node:assert/strict';
import { access, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { DesiredInstance } from '@virga/contract/agent/desired';
import { type ImageId, newId } from '@virga/contract/ids';
import { until } from '@virga/testing/until';
import { greeting, tinyGuestDisk } from '../contract-suite/tiny-guest.ts';
import { efiGreeting, makeEfiDisc } from './testing/efi-disc.ts';
import { openTestHost, type TestHost } from './testing/test-host.ts';

const patience = { timeoutMs: 60_000, intervalMs: 250 };
const tpmStates = '/var/lib/libvirt/swtpm';

let host: TestHost;
before(async () => {
  host = await openTestHost(23);
});
after(() => host.close());

async function importDisc(kind: 'signed' | 'unsigned'): Promise<ImageId> {
  const id = newId('image');
  const path = join(host.storagePath, `${kind}.iso`);
  await makeEfiDisc(path, kind);
  const source = { kind: 'file' as const, path };
  await host.agent.importImage({ id, cloudId: host.cloudId, generation: 1, source, format: 'raw', kind: 'iso' });
  return id;
}

const machine = (changes: Partial<DesiredInstance>): DesiredInstance => {
  const base = host.instance(host.network(), newId('image'), { nics: [], memoryMib: 256, ...changes });
  return { ...base, rootDisk: { ...base.rootDisk, imageId: null, sizeBytes: 64 * 1024 * 1024 } };
};
const fromDisc = (imageId: ImageId, firmware: DesiredInstance['firmware']) =>
  machine({ firmware, cdrom: { imageId }, bootOrder: ['cdrom'] });
const consoleOf = async ({ id }: DesiredInstance) =>
  (await host.agent.consoleLog(id, 100_000)).bytes.toString('latin1');
const exists = (path: string) =>
  access(path).then(
    () => true,
    () => false,
  );

test('with Secure Boot a signed loader starts, an unsigned one is refused, and without it that one starts too', async () => {
  const [signed, unsigned] = [await importDisc('signed'), await importDisc('unsigned')];
  const says = async (desired: DesiredInstance, what: RegExp) => {
    await host.agent.applyInstance(desired);
    await until(`${desired.firmware} says ${what}`, async () => what.test(await consoleOf(desired)), patience);
    await host.agent.deleteInstance(desired);
  };
  await says(fromDisc(signed, 'uefi-secure'), new RegExp(efiGreeting));
  const refused = fromDisc(unsigned, 'uefi-secure');
  await says(refused, /Security Violation|Access Denied/);
  await says(fromDisc(unsigned, 'uefi'), new RegExp(efiGreeting));
});

test('every machine starts that is not refused', async () => {
  for (const hardware of ['virtio', 'emulated', 'legacy'] as const) {
    for (const firmware of ['bios', 'uefi', 'uefi-secure'] as const) {
      if (hardware === 'legacy' && firmware === 'uefi-secure') continue;
      const chosen = {
        hardware,
        firmware,
        tpm: firmware === 'uefi',
        watchdog: 'reset',
        cdrom: { imageId: null },
      } as const;
      const desired = machine({ ...chosen, bootOrder: ['network', 'cdrom', 'disk'] });
      assert.equal((await host.agent.applyInstance(desired)).state, 'running', `${hardware} with ${firmware}`);
      await host.agent.deleteInstance(desired);
    }
  }
});

test('a TPM and the variables of UEFI live with the instance, and go with it', async () => {
  const desired = machine({ firmware: 'uefi-secure', tpm: true });
  await host.agent.applyInstance(desired);
  const folder = join(host.storagePath, 'instances', desired.id);
  assert.ok(await exists(join(folder, 'nvram-uefi-secure.fd')));
  assert.ok(await exists(join(tpmStates, desired.uuid, 'tpm2')));
  assert.equal(await countTpmProcesses(desired.uuid), 1);

  const off = { ...desired, generation: 2, power: { state: 'stopped' as const, forceAt: new Date().toISOString() } };
  assert.equal((await host.agent.applyInstance(off)).state, 'stopped');
  await until('its TPM ends', async () => (await countTpmProcesses(desired.uuid)) === 0, patience);
  assert.ok(await exists(join(tpmStates, desired.uuid, 'tpm2')), 'a TPM keeps what it holds');

  await host.agent.deleteInstance(desired);
  assert.equal(await exists(join(tpmStates, desired.uuid)), false);
  assert.equal(await exists(folder), false);
});

test('a snapshot keeps the variables of UEFI and the TPM of its moment; a clone has those variables, and a TPM of its own', async () => {
  const desired = machine({ firmware: 'uefi', tpm: true });
  const { id, uuid, domainName, cloudId } = desired;
  const variablesOf = (of: DesiredInstance) => join(host.storagePath, 'instances', of.id, 'nvram-uefi.fd');
  const tpmOf = (of: DesiredInstance) => join(tpmStates, of.uuid, 'tpm2', 'tpm2-00.permall');
  const filesOf = (of: DesiredInstance) => Promise.all([readFile(variablesOf(of)), readFile(tpmOf(of))]);
  const off = (generation: number) => ({
    ...{ ...desired, generation },
    power: { state: 'stopped' as const, forceAt: new Date().toISOString() },
  });
  const snapshotOf = (memory: boolean) => ({
    ...{ id: newId('snapshot'), cloudId, name: 'before', instance: { id, uuid, domainName } },
    ...{ memory, mustExist: false, keepsake: {} },
  });
  const cutShort = await host.openAgent({
    hook: (step) => {
      if (step === 'revert-machine') throw new Error('cut short');
    },
  });
  let generation = 1;
  await host.agent.applyInstance(desired);
  for (const memory of [false, true]) {
    const snapshot = snapshotOf(memory);
    const { machineState } = await host.agent.applySnapshot(snapshot);
    assert.deepEqual(machineState, ['uefi-variables', 'tpm']);
    // Those of now may be others already: the firmware writes while it starts.
    const path = join(host.storagePath, 'instances', id, 'snapshots', snapshot.id, 'machine.json');
    const kept = JSON.parse(await readFile(path, 'utf8')) as Record<string, string>;
    assert.deepEqual(Object.keys(kept), ['nvram-uefi.fd', 'tpm/tpm2/tpm2-00.permall']);
    const [variables, tpm] = Object.values(kept).map((content) => Buffer.from(content, 'base64'));
    assert.equal(variables?.length, (await filesOf(desired))[0]?.length);
    await host.agent.applyInstance(off(++generation));
    await until('its TPM ends', async () => (await countTpmProcesses(uuid)) === 0, patience);
    for (const file of [variablesOf(desired), tpmOf(desired)]) await writeFile(file, 'of another moment');
    await writeFile(join(tpmStates, uuid, 'tpm2', 'tpm2-00.volatilestate'), 'of another moment');
    const revert = { ...snapshot, token: newId('operation') };
    await assert.rejects(cutShort.revertSnapshot(revert), /cut short/);
    await host.agent.revertSnapshot(revert);
    if (!memory) {
      assert.deepEqual(await filesOf(desired), [variables, tpm]);
      assert.deepEqual(
        (await readdir(join(tpmStates, uuid, 'tpm2'))).filter((name) => !name.startsWith('.')),
        ['tpm2-00.permall'],
      );
    }
    const observed = await host.agent.applyInstance({ ...desired, generation: ++generation });
    assert.equal(observed.state, 'running', 'it starts with what was put back');
    if (memory) continue;
    const copy = machine({ firmware: 'uefi', tpm: true });
    const names = { id: copy.id, uuid: copy.uuid, domainName: copy.domainName };
    await host.agent.makeClone({ ...names, cloudId, snapshot, rootDiskId: copy.rootDisk.id, kind: 'full' });
    assert.deepEqual(await readFile(variablesOf(copy)), variables);
    assert.equal(await exists(join(tpmStates, copy.uuid)), false);
    await host.agent.applyInstance(copy);
    assert.notDeepEqual(await readFile(tpmOf(copy)), tpm);
    await host.agent.deleteInstance(copy);
  }
  await host.agent.deleteInstance(desired);
});

test('what a TPM held is erased when it is taken away', async () => {
  const desired = machine({ tpm: true });
  await host.agent.applyInstance(desired);
  const off = { ...desired, generation: 2, power: { state: 'stopped' as const, forceAt: new Date().toISOString() } };
  await host.agent.applyInstance(off);
  await host.agent.applyInstance({ ...off, generation: 3, tpm: false });
  assert.equal(await exists(join(tpmStates, desired.uuid)), false);
  await host.agent.deleteInstance(desired);
});

test('a watchdog that is not fed does what was chosen', async () => {
  const imageId = newId('image');
  const path = join(host.storagePath, 'hanging.raw');
  await writeFile(path, tinyGuestDisk({ answersAcpi: true, armsWatchdog: true }));
  const source = { kind: 'file' as const, path };
  await host.agent.importImage({ id: imageId, cloudId: host.cloudId, generation: 1, source, format: 'raw' });
  const hanging = (watchdog: DesiredInstance['watchdog']) =>
    host.instance(host.network(), imageId, { nics: [], hardware: 'legacy', watchdog });
  const [held, restarted] = [hanging('pause'), hanging('reset')];
  for (const desired of [held, restarted]) await host.agent.applyInstance(desired);
  await until('one is held', async () => {
    const seen = await host.agent.listInstances(host.cloudId);
    return seen.some(({ id, state, reason }) => id === held.id && state === 'paused' && reason === 'suspended');
  });
  await until('one is restarted', async () => (await consoleOf(restarted)).split(greeting).length > 2);
  assert.equal((await consoleOf(held)).split(greeting).length, 2);
  for (const desired of [held, restarted]) await host.agent.deleteInstance(desired);
});

/** How many swtpm run for a domain. */
async function countTpmProcesses(uuid: string): Promise<number> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const lines = await Promise.all(pids.map((pid) => readFile(`/proc/${pid}/cmdline`, 'latin1').catch(() => '')));
  return lines.filter((line) => line.includes('swtpm\0socket') && line.includes(uuid)).length;
}
