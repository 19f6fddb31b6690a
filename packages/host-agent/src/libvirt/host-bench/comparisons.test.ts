// What of the comparisons needs no guest: which settings there are, how the module of KVM is switched and put back, and what
// definition a guest gets.
import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { hostSystemAt } from '../../host-system/host-system.ts';
import { childAt, childrenOf, parseXml } from '../xml.ts';
import { benchGuestXml, type GuestPlace } from './bench-xml.ts';
import { nameOf, waysOf } from './comparisons/disk-cache.ts';
import { choicesOf } from './comparisons/kernel-choices.ts';
import { nestedPagingModule, restoreNestedPaging, setNestedPaging } from './nested-paging-module.ts';

async function folderWith(t: TestContext, files: Record<string, string>): Promise<string> {
  const root = await mkdtemp(join(tmpdir(), 'virga-bench-test.'));
  t.after(() => rm(root, { recursive: true }));
  for (const [path, content] of Object.entries(files)) {
    await mkdir(join(root, dirname(path)), { recursive: true });
    await writeFile(join(root, path), content);
  }
  return root;
}

test('native AIO comes only with modes past the page cache, io_uring only where the host has it', () => {
  const all = waysOf({ directIo: true, ioUring: true }).map(nameOf);
  assert.equal(all.length, 24);
  assert.equal(new Set(all).size, 24);
  assert.equal(all[0], 'qcow2 none native');
  assert.ok(!all.includes('raw writeback native') && all.includes('raw directsync native'));
  const few = waysOf({ directIo: false, ioUring: false }).map(nameOf);
  assert.deepEqual(few.slice(0, 3), ['qcow2 writeback threads', 'qcow2 writethrough threads', 'qcow2 unsafe threads']);
  assert.equal(few.length, 6);
});

test('of the choices of a kernel the one in force is found', () => {
  assert.deepEqual(choicesOf('always [madvise] never\n'), {
    chosen: 'madvise',
    available: ['always', 'madvise', 'never'],
  });
  assert.equal(choicesOf('none\n'), undefined);
  assert.equal(choicesOf(undefined), undefined);
});

test('the module of KVM is loaded with and without nested paging, and as it was at the end, also by another process', async (t) => {
  const parameter = 'sys/module/kvm_intel/parameters/ept';
  const root = await folderWith(t, { [parameter]: 'Y\n', 'sys/module/kvm_intel/refcnt': '0\n' });
  const ran: string[] = [];
  const system = hostSystemAt(root, async (program, args) => {
    ran.push([program, ...args].join(' '));
    const value = args.find((arg) => arg.startsWith('ept='));
    if (value !== undefined) await writeFile(join(root, parameter), value.endsWith('1') ? 'Y\n' : 'N\n');
    return '';
  });
  const folder = await folderWith(t, {});
  await setNestedPaging(system, folder, true);
  assert.deepEqual(ran, []);
  await setNestedPaging(system, folder, false);
  await setNestedPaging(system, folder, true);
  await setNestedPaging(system, folder, false);
  assert.equal((await nestedPagingModule(system)).isOn, false);
  await restoreNestedPaging(system, folder);
  assert.equal((await nestedPagingModule(system)).isOn, true);
  assert.deepEqual(ran.slice(-2), ['modprobe -r kvm_intel', 'modprobe kvm_intel ept=1']);
  assert.deepEqual(await readdir(folder), []);
  await restoreNestedPaging(system, folder);
  assert.equal(ran.length, 8);
});

test('a kernel without the switch, and one with KVM built in, cannot show nested paging, and say why', async (t) => {
  const refuse = async () => assert.fail('nothing is run');
  const without = hostSystemAt(await folderWith(t, {}), refuse);
  await assert.rejects(nestedPagingModule(without), /not possible here, because this kernel has neither/);
  const builtIn = await folderWith(t, { 'sys/module/kvm_amd/parameters/npt': '1\n' });
  await assert.rejects(nestedPagingModule(hostSystemAt(builtIn, refuse)), /kvm_amd is part of this kernel/);
});

test('a guest has what any instance has, and its disks and cards with the drivers that are compared', () => {
  const place: GuestPlace = {
    name: 'virga-bench-0a1b2c-1',
    number: 1,
    uuid: '00000000-0000-4000-8000-000000000001',
    files: { rootDisk: '/b/1.qcow2', seed: '/b/1.seed', consoleLog: '/b/1.log', nvram: '/b/1.nvram' },
    image: '/b/image.qcow2',
    network: 'virga-bench-0a1b2c-net',
    host: { arch: 'x86_64', acceleration: 'tcg', vhostNet: false, directIo: true },
  };
  const disk = { file: '/b/disk', format: 'raw', cache: 'none', aio: 'io_uring', bus: 'virtio' } as const;
  const emulated = { ...disk, cache: 'directsync', aio: 'native', bus: 'sata' } as const;
  const spec = { vcpus: 2, memoryMib: 256, disks: [disk, emulated], cards: ['virtio', 'e1000'] } as const;
  const domain = parseXml(benchGuestXml(spec, place));
  const devices = childAt(domain, 'devices');
  const drivers = childrenOf(devices, 'disk').map((one) => {
    const { type, cache, io } = childAt(one, 'driver')!.attributes;
    const { dev, bus } = childAt(one, 'target')!.attributes;
    return [dev, bus, type, cache, io].join(' ');
  });
  assert.ok(drivers.includes('vdc virtio raw none io_uring'), drivers.join('; '));
  assert.ok(drivers.includes('sdd sata raw directsync native'), drivers.join('; '));
  assert.deepEqual(
    childrenOf(devices, 'interface').map((one) => [
      childAt(one, 'model')?.attributes.type,
      childAt(one, 'mac')?.attributes.address,
    ]),
    [
      ['virtio', '52:54:00:be:01:00'],
      ['e1000', '52:54:00:be:01:01'],
    ],
  );
  assert.match(benchGuestXml(spec, place), /urn:virga:bench:1/);
  assert.doesNotMatch(benchGuestXml(spec, place), /urn:virga:domain:1/);
});
