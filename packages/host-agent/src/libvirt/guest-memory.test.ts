// Memory of guests on this machine's own kernel: static huge pages that a guest takes and gives back, and equal pages that the
// kernel merges, of those only that may be merged. The guests are of one boot sector, so there is little to merge.
import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, type TestContext, test } from 'node:test';
import type { DesiredInstance, DesiredNetwork } from '@virga/contract/agent/desired';
import type { GuestMemory } from '@virga/contract/agent/host-memory';
import { type ImageId, newId } from '@virga/contract/ids';
import { until } from '@virga/testing/until';
import { tinyGuestDisk } from '../contract-suite/tiny-guest.ts';
import { withKernelKnobs } from '../host-system/testing/kernel-knobs.ts';
import { openTestHost, type TestHost } from './testing/test-host.ts';

const hugePages = '/sys/kernel/mm/hugepages/hugepages-2048kB';
const ksm = '/sys/kernel/mm/ksm';

let host: TestHost;
let network: DesiredNetwork;
let imageId: ImageId;
before(async () => {
  host = await openTestHost(65);
  const path = join(host.storagePath, 'tiny.raw');
  await writeFile(path, tinyGuestDisk({ answersAcpi: true }), { mode: 0o644 });
  imageId = newId('image');
  await host.agent.importImage({
    id: imageId,
    cloudId: host.cloudId,
    generation: 1,
    source: { kind: 'file', path },
    format: 'raw',
  });
  network = host.network();
  await host.agent.applyNetwork(network);
});
after(() => host.close());

const numberIn = async (path: string): Promise<number> => Number(await readFile(path, 'utf8'));

/** One that is gone after the test. */
function guest(t: TestContext, memoryBacking: DesiredInstance['memoryBacking'], memoryMib = 64): DesiredInstance {
  const desired = host.instance(network, imageId, { memoryBacking, memoryMib, nics: [] });
  t.after(() => host.agent.deleteInstance(desired));
  return desired;
}

const measured = async (): Promise<Map<string, GuestMemory>> =>
  new Map((await host.agent.hostMemory(host.cloudId)).guests.map((one) => [one.id, one]));

/** Sets values of the kernel for as long as the work takes. */
async function withValues(values: Record<string, string>, work: () => Promise<void>): Promise<void> {
  await withKernelKnobs(async () => {
    const before: [string, string][] = [];
    try {
      for (const [path, value] of Object.entries(values)) {
        before.unshift([path, (await readFile(path, 'utf8')).trim()]);
        await writeFile(path, value);
      }
      await work();
    } finally {
      for (const [path, value] of before) await writeFile(path, value);
    }
  });
}

test('a guest of a type on huge pages takes them when it starts and gives them back when it is off', async (t) => {
  const total = (await numberIn(`${hugePages}/nr_hugepages`)) + 36;
  await withValues({ [`${hugePages}/nr_hugepages`]: String(total) }, async () => {
    const facts = await host.agent.facts();
    assert.ok(facts.features.includes('huge-pages-2m'), 'libvirtd was started with a hugetlbfs mounted');
    const free = await numberIn(`${hugePages}/free_hugepages`);
    assert.ok(free >= 36, `the kernel has found ${free} huge pages`);
    const told = facts.numaNodes.flatMap((node) => node.hugePages).filter(({ sizeKib }) => sizeKib === 2048);
    assert.equal(
      told.reduce((sum, pages) => sum + pages.total, 0),
      await numberIn(`${hugePages}/nr_hugepages`),
    );

    const desired = guest(t, { hugePageKib: 2048, mergeable: false });
    assert.equal((await host.agent.applyInstance(desired)).state, 'running');
    assert.equal(await numberIn(`${hugePages}/free_hugepages`), free - 32);
    const memory = (await measured()).get(desired.id)!;
    assert.deepEqual([memory.hugePagesKib, memory.mergeable], [64 * 1024, false]);
    assert.ok(memory.residentKib! > 0);
    const xml = await host.agent.domainXml(desired.id);
    assert.match(xml, /<page size='2048' unit='KiB'\/>/);
    assert.doesNotMatch(xml, /freePageReporting/, 'no page of it goes back to others while it runs');

    const second = guest(t, { hugePageKib: 2048, mergeable: false });
    await assert.rejects(host.agent.applyInstance(second), {
      code: 'NoCapacity',
      detail: `The host has ${free - 32} free huge pages of 2 MiB; 32 are needed.`,
    });
    assert.equal((await host.agent.listInstances(host.cloudId)).length, 1, 'nothing of it is left');

    const forceAt = new Date(0).toISOString();
    await host.agent.applyInstance({ ...desired, generation: 2, power: { state: 'stopped', forceAt } });
    assert.equal(await numberIn(`${hugePages}/free_hugepages`), free);
  });
  assert.ok((await numberIn(`${hugePages}/nr_hugepages`)) < total, 'what was reserved is given back');
});

test('the kernel merges the pages of guests that may be merged, and none of one that opted out', async (t) => {
  const [first, second, shy] = [true, true, false].map((mergeable) => guest(t, { hugePageKib: null, mergeable }));
  for (const desired of [first, second, shy]) await host.agent.applyInstance(desired!);
  const values = { [`${ksm}/pages_to_scan`]: '20000', [`${ksm}/run`]: '1' };
  await withValues(values, async () => {
    const merged = await until('two guests have merged pages', async () => {
      const guests = await measured();
      const [one, other] = [first, second].map((desired) => guests.get(desired!.id)!.mergedKib ?? 0);
      return one! > 0 && other! > 0 && guests;
    });
    const scansBefore = await numberIn(`${ksm}/full_scans`);
    await until('all was looked at twice more', async () => (await numberIn(`${ksm}/full_scans`)) >= scansBefore + 2);
    const guests = await measured();
    assert.deepEqual([guests.get(shy!.id)!.mergedKib, guests.get(shy!.id)!.mergeable], [0, false]);
    assert.equal(merged.get(first!.id)!.mergeable, true);
    const { ksm: state } = await host.agent.hostMemory(host.cloudId);
    assert.ok(state?.running && state.savedKib > 0, JSON.stringify(state));
    t.diagnostic(
      `merged of two guests: ${guests.get(first!.id)!.mergedKib} and ${guests.get(second!.id)!.mergedKib} KiB, saved on the host: ${state.savedKib} KiB`,
    );
  });
});
