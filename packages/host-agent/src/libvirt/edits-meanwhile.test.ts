// Somebody edits a definition with virsh just while an instance is brought to what is desired: their change is told, as at any
// other time. It is neither written over nor taken for ours.
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { DesiredInstance, DesiredNetwork } from '@virga/contract/agent/desired';
import { type ImageId, newId } from '@virga/contract/ids';
import { tinyGuestDisk } from '../contract-suite/tiny-guest.ts';
import { openTestHost, type TestHost } from './testing/test-host.ts';

let host: TestHost;
let network: DesiredNetwork;
let imageId: ImageId;
/** What is done before a step, once. */
let atStep: { step: string; work: () => Promise<void> } | undefined;

before(async () => {
  const hook = async (step: string) => {
    if (atStep?.step !== step) return;
    const { work } = atStep;
    atStep = undefined;
    await work();
  };
  host = await openTestHost(64, { hook });
  imageId = newId('image');
  const path = join(host.storagePath, 'guest.raw');
  await writeFile(path, tinyGuestDisk({ answersAcpi: true }));
  const { agent, cloudId } = host;
  await agent.importImage({ id: imageId, cloudId, generation: 1, source: { kind: 'file', path }, format: 'raw' });
  network = host.network();
  await agent.applyNetwork(network);
});
after(() => host.close());

const off = (desired: DesiredInstance): DesiredInstance => ({
  ...desired,
  generation: desired.generation + 1,
  power: { state: 'stopped', forceAt: new Date(0).toISOString() },
});

/** As `virsh edit` does it, begun and ended. */
async function edit({ uuid }: DesiredInstance): Promise<void> {
  const { domains } = host.outside;
  const xml = await domains.xml(await domains.lookupByUuid(uuid), { inactive: true, secure: true });
  await domains.defineXml(xml.replace(/<on_crash>\w+</, '<on_crash>preserve<'));
}

/** An instance that runs, and is edited before that step of what is asked for next. */
async function editedAt(step: string, { isOff = false } = {}): Promise<DesiredInstance> {
  const launched = host.instance(network, imageId);
  await host.agent.applyInstance(launched);
  const desired = isOff ? off(launched) : launched;
  if (isOff) await host.agent.applyInstance(desired);
  atStep = { step, work: () => edit(desired) };
  return desired;
}

const driftOf = async ({ id }: DesiredInstance) =>
  (await host.agent.findDrifts(host.cloudId)).find((found) => found.id === id)?.drift;
const theirs = /^\+ +<on_crash>preserve<\/on_crash>$/m;

test('after a definition was written, and before the guest was told', async () => {
  const desired = await editedAt('metadata');
  await host.agent.applyInstance({ ...desired, generation: 2, description: 'newer' });
  assert.equal(atStep, undefined, 'there was no such step');
  assert.match((await driftOf(desired))?.diff ?? '', theirs);
  await host.agent.deleteInstance(desired);
});

test('while a guest is cut off', async () => {
  const desired = await editedAt('force-off');
  await host.agent.applyInstance(off(desired));
  assert.equal(atStep, undefined, 'there was no such step');
  assert.match((await driftOf(desired))?.diff ?? '', theirs);
  await host.agent.deleteInstance(desired);
});

test('before a definition is written, when other things have been prepared', async () => {
  const desired = await editedAt('rename', { isOff: true });
  const renamed = {
    ...desired,
    generation: 3,
    domainName: `${desired.domainName}-new`,
    power: { state: 'running' },
  } as const;
  const { drift, state } = await host.agent.applyInstance(renamed);
  assert.equal(atStep, undefined, 'there was no such step');
  assert.deepEqual([theirs.test(drift?.diff ?? ''), state], [true, 'stopped']);
  const settled = await host.agent.applyInstance({ ...renamed, settledDrift: drift!.hash, overlay: drift!.overlay });
  assert.deepEqual([settled.state, settled.drift], ['running', undefined]);
  assert.match(await host.agent.domainXml(desired.id), /<on_crash>preserve</);
  await host.agent.deleteInstance(renamed);
});

const machines = {
  'of a plain machine': {},
  'of one with UEFI': { firmware: 'uefi' },
  'of one with Secure Boot and a TPM': { firmware: 'uefi-secure', tpm: true },
  'of emulated devices': { hardware: 'emulated' },
  'with room to grow': { maxVcpus: 2, maxMemoryMib: 128 },
} as const satisfies Record<string, Partial<DesiredInstance>>;

for (const [what, changes] of Object.entries(machines)) {
  test(`what libvirt makes of a definition ${what} by itself is nobody’s change`, async () => {
    const desired = host.instance(network, imageId, changes);
    await host.agent.applyInstance(desired);
    const { domains } = host.outside;
    const ref = await domains.lookupByUuid(desired.uuid);
    // Written again as it is, so that it is looked at.
    await domains.defineXml(await domains.xml(ref, { inactive: true, secure: true }));
    assert.equal(await driftOf(desired), undefined);
    const renewed = await host.agent.applyInstance({ ...desired, generation: 2, description: 'newer' });
    assert.equal(renewed.drift, undefined);
    await host.agent.deleteInstance(desired);
  });
}
