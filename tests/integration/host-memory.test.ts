// The memory of a real host as a person has to do with it: a type on static huge pages, from their reservation by command to the
// guest that holds them and back; and the relief valve, with a guest that lends memory by its balloon and gets it back.
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { tinyGuestDisk } from '@virga/host-agent/contract-suite/tiny-guest';
import { withKernelKnobs } from '@virga/host-agent/host-system/testing/kernel-knobs';
import { type Hypervisor, startHypervisor } from '@virga/testing/hypervisor';
import { until } from '@virga/testing/until';
import { output } from './run-program.ts';
import { virsh } from './virsh.ts';
import { WholeCloud } from './whole-cloud.ts';

const hugePages = '/sys/kernel/mm/hugepages/hugepages-2048kB';
/** A host tells of itself every fifteen seconds. */
const reported = { timeoutMs: 60_000, intervalMs: 250 };
/** The kernel is other tests' too meanwhile, which are waited for. */
const testMs = 540_000;

let hypervisor: Hypervisor;
let cloud: WholeCloud;

before(async () => {
  // The kernel is everybody's; files of its configuration are this test's own.
  for (const folder of ['/etc/sysctl.d', '/etc/tmpfiles.d']) await output('mount', '-t', 'tmpfs', 'tmpfs', folder);
  // libvirtd gives guests huge pages of what it finds mounted when it is started.
  mkdirSync('/run/hugepages-2M', { recursive: true });
  await output('mount', '-t', 'hugetlbfs', '-o', 'pagesize=2M', 'hugetlbfs', '/run/hugepages-2M');
  hypervisor = await startHypervisor();
  cloud = await WholeCloud.start();
  const starter = process.env.VIRGA_TEST_STARTER_IMAGE;
  assert.ok(starter, 'script/test names the starter image');
  const tiny = join(cloud.folder, 'tiny.raw');
  writeFileSync(tiny, tinyGuestDisk({ answersAcpi: true }));
  await Promise.all([
    cloud.done(`images register ${tiny} --name tiny --format raw --wait`),
    cloud.done(`images register ${starter} --name starter --format qcow2 --login-user root --minimum-memory 96 --wait`),
    cloud.done('networks create default --cidr 10.203.0.0/24 --wait'),
    cloud.done('types create paged --vcpus 1 --memory 64 --disk 1 --huge-pages 2M'),
  ]);
  // It boots while the other test is at work.
  await cloud.done('launch web --image starter --type tiny --no-key');
});

after(async () => {
  await cloud?.close();
  await hypervisor?.close();
});

const pages = (file: 'nr_hugepages' | 'free_hugepages'): number => Number(readFileSync(join(hugePages, file), 'utf8'));
const host = async () => (await cloud.client.listHosts({ query: {} })).items[0]!;
const told = async (type: string) =>
  (await cloud.client.listCloudEvents({ query: { order: 'newest' } })).items.find((event) => event.type === type);

test('huge pages are reserved by command, and a guest of a type on them holds them until it is off', {
  timeout: testMs,
}, async () => {
  await withKernelKnobs(async () => {
    const before = pages('nr_hugepages');
    const refused = await cloud.cli('launch early --image tiny --type paged --no-key --wait'.split(' '));
    if (before < 32)
      assert.deepEqual([refused.exit, /huge pages of 2 MiB/.test(refused.stderr)], [7, true], refused.stderr);
    try {
      await cloud.done(`host tune custom --set huge-pages-2m=${before + 36} --wait`);
      assert.equal(pages('nr_hugepages'), before + 36);
      const has = async () => (await host()).hugePages.find(({ sizeKib }) => sizeKib === 2048)?.total ?? 0;
      await until('the host tells of its pages', async () => (await has()) >= 32, reported);
      const free = pages('free_hugepages');
      await cloud.done('launch paged --image tiny --type paged --no-key --wait');
      assert.equal(pages('free_hugepages'), free - 32);
      const { domainName } = await cloud.json('show paged');
      assert.match(await virsh('dumpxml', domainName), /<page size='2048' unit='KiB'\/>/);
      const { instances } = await cloud.client.getHostMemory({ params: { id: (await host()).id } });
      assert.equal(instances.find(({ name }) => name === 'paged')?.hugePagesKib, 64 * 1024);
      // Pages of a guest that runs are not taken from it.
      const undone = await cloud.cli('host tune --undo --wait'.split(' '));
      assert.notEqual(undone.exit, 0, 'they are in use');
      assert.equal(pages('free_hugepages'), free - 32);
      await cloud.done('delete paged --yes --wait');
      assert.equal(pages('free_hugepages'), free);
    } finally {
      await cloud.cli('delete paged --yes --wait'.split(' '));
      await cloud.done('host tune --undo --wait');
    }
    assert.equal(pages('nr_hugepages'), before);
  });
});

test('below the floor of its host an idle guest lends memory by its balloon, and has it again when there is room', {
  timeout: testMs,
}, async () => {
  const { id, domainName } = await cloud.json('show web');
  const row = () => cloud.client.getInstance({ params: { id } });
  // What it could use, its driver tells once it is there.
  const guest = async () => {
    const { instances } = await cloud.client.getHostMemory({ params: { id: (await host()).id } });
    return instances.find((one) => one.id === id);
  };
  await until('the guest tells what it could use', async () => (await guest())?.usableKib != null, {
    ...reported,
    timeoutMs: 120_000,
  });
  const { memoryMib } = await row();
  const { facts } = await host();
  await cloud.done(`hosts set --memory-floor ${facts!.memoryMib}`);
  await until('it lends', async () => ((await row()).observedMemoryMib ?? memoryMib) < memoryMib - 16, reported);
  const short = await until('it is told', () => told('host.memory-short'), reported);
  assert.match(short.message, /less than its floor of \d+ MiB: its guests lend \d+ MiB that they do not use\./);
  const actual = async () => Number(/^actual (\d+)$/m.exec(await virsh('dommemstat', domainName))?.[1]);
  assert.ok((await actual()) < (memoryMib - 16) * 1024, 'libvirt shows it');
  assert.equal((await row()).memoryMib, memoryMib, 'what it is to have stays');
  const refused = await cloud.cli('launch other --image tiny --type tiny --no-key --wait'.split(' '));
  assert.deepEqual([refused.exit, /nothing is started there below/.test(refused.stderr)], [7, true], refused.stderr);

  await cloud.done('hosts set --memory-floor default');
  await until('it has all of it again', async () => (await row()).observedMemoryMib === memoryMib, reported);
  await until('it is told', () => told('host.memory-relieved'), reported);
  assert.equal(await actual(), memoryMib * 1024);
  await cloud.done('delete web --yes --wait');
});
