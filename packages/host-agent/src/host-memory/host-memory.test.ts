import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { type HostSystem, hostSystemAt } from '../host-system/host-system.ts';
import { hugePageFeatures, requireHugePages } from '../libvirt/host/huge-pages.ts';
import { availableMemoryMib, readHostMemory, readKsm } from './host-memory.ts';
import { readProcessMemory, readSharedMapping } from './process-memory.ts';

/** A host with just these files. */
async function hostOf(t: TestContext, files: Record<string, string>): Promise<HostSystem> {
  const root = await mkdtemp(join(tmpdir(), 'virga-host-memory.'));
  t.after(() => rm(root, { recursive: true }));
  for (const [path, content] of Object.entries(files)) {
    await mkdir(dirname(join(root, path)), { recursive: true });
    await writeFile(join(root, path), content);
  }
  return hostSystemAt(root, () => Promise.reject(new Error('no program is run')));
}

const meminfo = `MemTotal:       16384000 kB
MemFree:          500000 kB
MemAvailable:    8192000 kB
SwapTotal:       1000000 kB
SwapFree:         900000 kB
HugePages_Total:      12
`;
const ksm = (files: Record<string, number>) =>
  Object.fromEntries(Object.entries(files).map(([name, value]) => [`/sys/kernel/mm/ksm/${name}`, `${value}\n`]));
const pages = (folder: string, kib: number, total: number, free: number) => ({
  [`${folder}/hugepages-${kib}kB/nr_hugepages`]: `${total}\n`,
  [`${folder}/hugepages-${kib}kB/free_hugepages`]: `${free}\n`,
});
const node = (id: number) => `/sys/devices/system/node/node${id}/hugepages`;

test('the memory of a host with two nodes, swap, huge pages and merging is what its kernel tells', async (t) => {
  const system = await hostOf(t, {
    '/proc/meminfo': meminfo,
    ...ksm({ run: 1, pages_to_scan: 1000, full_scans: 3, pages_shared: 10, pages_sharing: 90 }),
    '/sys/devices/system/node/node0/meminfo': 'Node 0 MemTotal: 8192000 kB\n',
    '/sys/devices/system/node/node1/meminfo': 'Node 1 MemTotal: 8192000 kB\n',
    ...pages(node(0), 2048, 8, 2),
    ...pages(node(1), 2048, 4, 4),
    ...pages(node(1), 1_048_576, 1, 1),
  });
  assert.deepEqual(await readHostMemory(system), {
    totalKib: 16_384_000,
    availableKib: 8_192_000,
    swapUsedKib: 100_000,
    ksm: { running: true, pagesToScan: 1000, fullScans: 3, sharedKib: 40, savedKib: 360 },
    hugePages: [
      { sizeKib: 2048, total: 12, free: 6 },
      { sizeKib: 1_048_576, total: 1, free: 1 },
    ],
  });
  assert.equal(await availableMemoryMib(system), 8000);
});

test('pages of an ARM kernel are as large as it says', async (t) => {
  const system = await hostOf(t, {
    '/proc/self/smaps': '00400000-00401000 r-xp 00000000 00:00 0  /bin/node\nKernelPageSize:       64 kB\n',
    ...ksm({ run: 2, pages_to_scan: 100, full_scans: 0, pages_shared: 1, pages_sharing: 1 }),
  });
  assert.deepEqual(await readKsm(system), {
    running: false,
    pagesToScan: 100,
    fullScans: 0,
    sharedKib: 64,
    savedKib: 64,
  });
});

test('a kernel without merging, and one that does not tell of processes, claim nothing', async (t) => {
  const system = await hostOf(t, { '/proc/meminfo': meminfo, '/proc/42/status': 'Name:\tqemu\nVmRSS:\t  1000 kB\n' });
  assert.equal(await readKsm(system), null);
  assert.deepEqual(await readProcessMemory(system, 42), {
    residentKib: 1000,
    hugePagesKib: 0,
    mergedKib: null,
    mergeable: null,
  });
  assert.equal(await readProcessMemory(system, 43), null);
});

test('of a process the kernel tells resident memory, huge pages and merged pages', async (t) => {
  const system = await hostOf(t, {
    '/proc/42/status': 'VmRSS:\t  1000 kB\nHugetlbPages:\t  4096 kB\n',
    '/proc/42/ksm_merging_pages': '25\n',
    '/proc/42/ksm_stat': 'ksm_rmap_items 30\nksm_merging_pages 25\nksm_merge_any: no\nksm_mergeable: yes\n',
  });
  assert.deepEqual(await readProcessMemory(system, 42), {
    residentKib: 1000,
    hugePagesKib: 4096,
    mergedKib: 100,
    mergeable: true,
  });
});

test('what a copy has in common with its template is told by its mappings of that file, also once it was removed', async (t) => {
  const mapping = (
    name: string,
    rss: number,
    pss: number,
    clean: number,
  ) => `7f0000000000-7f0010000000 rw-p 00000000 00:1c 77 ${name}
Rss:              ${rss} kB
Pss:              ${pss} kB
Shared_Clean:     ${clean} kB
Shared_Dirty:      0 kB
`;
  const path = '/srv/my templates/tmpl-1/memory';
  const system = await hostOf(t, {
    '/proc/42/smaps':
      mapping(`                 ${path}`, 1000, 400, 700) +
      mapping(`                 ${path} (deleted)`, 100, 50, 60) +
      mapping('                 /usr/lib/libc.so', 5000, 100, 5000) +
      mapping('', 9000, 9000, 0),
  });
  assert.deepEqual(await readSharedMapping(system, 42, path), { sharedKib: 760, savedKib: 650 });
  assert.equal(await readSharedMapping(system, 43, path), null);
});

test('a host can give huge pages of the sizes that its libvirtd has found mounted', async (t) => {
  const mounts = `proc /proc proc rw 0 0
hugetlbfs /dev/hugepages hugetlbfs rw,relatime,pagesize=2M 0 0
hugetlbfs /mnt/one\\040gig hugetlbfs rw,relatime,pagesize=1024M 0 0
`;
  const found = { '/dev/hugepages/libvirt/qemu/x': '' };
  assert.deepEqual(await hugePageFeatures(await hostOf(t, { '/proc/mounts': mounts, ...found })), ['huge-pages-2m']);
  const both = { ...found, '/mnt/one gig/libvirt/qemu/x': '' };
  assert.deepEqual(await hugePageFeatures(await hostOf(t, { '/proc/mounts': mounts, ...both })), [
    'huge-pages-2m',
    'huge-pages-1g',
  ]);
  // Mounted after libvirtd was started.
  assert.deepEqual(await hugePageFeatures(await hostOf(t, { '/proc/mounts': mounts })), []);
});

test('a guest is refused before it is started when too few huge pages are free, in its node when it has one', async (t) => {
  const system = await hostOf(t, {
    '/sys/devices/system/node/node0/meminfo': 'Node 0 MemTotal: 1 kB\n',
    '/sys/devices/system/node/node1/meminfo': 'Node 1 MemTotal: 1 kB\n',
    ...pages(node(0), 2048, 8, 2),
    ...pages(node(1), 2048, 8, 6),
  });
  const guest = (memoryMib: number, at: number | null) =>
    ({ memoryMib, memoryBacking: { hugePageKib: 2048, mergeable: false }, cpu: { node: at } }) as never;
  await requireHugePages(system, guest(16, null));
  await requireHugePages(system, guest(12, 1));
  await assert.rejects(requireHugePages(system, guest(18, null)), {
    code: 'NoCapacity',
    detail: 'The host has 8 free huge pages of 2 MiB; 9 are needed.',
  });
  await assert.rejects(requireHugePages(system, guest(12, 0)), { code: 'NoCapacity', detail: /2 free.*node 0/ });
});
