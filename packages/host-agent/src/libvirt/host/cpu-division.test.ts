import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type CpuTuning, instanceDefaults } from '@virga/contract/agent/desired';
import type { HostSystem } from '../../host-system/host-system.ts';
import { type CpuDivision, isAnywhere, pinsOf } from './cpu-division.ts';
import { cpuWeights, weightOf } from './cpu-weights.ts';

const cpu = instanceDefaults.cpu as unknown as CpuTuning;
const divide = (pools: Partial<CpuDivision['pools']> = {}, isolated: number[] = []): CpuDivision => ({
  layout: {
    online: [0, 1, 2, 3],
    isolated,
    nodes: new Map([
      [0, [0, 1]],
      [1, [2, 3]],
    ]),
  },
  pools: { reserved: [], dedicated: [], ...pools },
});
const places = (tuning: Partial<CpuTuning>, division: CpuDivision, maxVcpus = 1) => {
  const { vcpus, emulator } = pinsOf({ cpu: { ...cpu, ...tuning }, maxVcpus }, division);
  return [...vcpus, emulator];
};

test('on a host that is not divided a guest may run anywhere, and is not pinned', () => {
  assert.deepEqual(places({}, divide()), [
    [0, 1, 2, 3],
    [0, 1, 2, 3],
  ]);
  assert.ok(isAnywhere(pinsOf({ cpu, maxVcpus: 2 }, divide()), divide()));
  assert.ok(!isAnywhere(pinsOf({ cpu: { ...cpu, node: 1 }, maxVcpus: 2 }, divide()), divide()));
});

test('vCPUs that share keep off what is reserved, dedicated or isolated, and QEMU off all but what is reserved', () => {
  assert.deepEqual(places({}, divide({ reserved: [0], dedicated: [3] })), [
    [1, 2],
    [0, 1, 2],
  ]);
  assert.deepEqual(places({}, divide({}, [3])), [
    [0, 1, 2],
    [0, 1, 2],
  ]);
  assert.deepEqual(places({ node: 1 }, divide({ dedicated: [3] })), [[2], [2]]);
});

test('each dedicated vCPU has its own, one that is not plugged in keeps to those of the others, and QEMU is elsewhere', () => {
  const own = { policy: 'dedicated', hostCpus: [3, 2], node: 1 } as const;
  assert.deepEqual(places({ ...own, hostCpus: [...own.hostCpus] }, divide({ dedicated: [2, 3] }), 3), [
    [3],
    [2],
    [3, 2],
    [0, 1],
  ]);
});

test('a guest always has somewhere to run, whatever is left to it', () => {
  assert.deepEqual(places({}, divide({ reserved: [0, 1], dedicated: [2, 3] })), [
    [0, 1],
    [0, 1],
  ]);
  assert.deepEqual(places({}, divide({ dedicated: [0, 1, 2, 3] })), [
    [0, 1, 2, 3],
    [0, 1, 2, 3],
  ]);
  assert.deepEqual(places({ node: 1 }, divide({ dedicated: [2, 3] })), [
    [0, 1],
    [0, 1],
  ]);
  const gone = { policy: 'dedicated', hostCpus: [9] } as const;
  assert.deepEqual(places({ ...gone, hostCpus: [9] }, divide()), [
    [0, 1, 2, 3],
    [0, 1, 2, 3],
  ]);
});

test('a weight is told in the unit of the controller that libvirt uses, and not at all where there is none', async () => {
  const host = (mounts: string, files: Record<string, string>) =>
    ({
      read: async (path: string) => (path === '/proc/self/mounts' ? mounts : files[path]),
      exists: async (path: string) => path in files,
    }) as unknown as HostSystem;
  const unified = 'cgroup2 /sys/fs/cgroup cgroup2 rw 0 0\n';
  const newer = await cpuWeights(host(unified, { '/sys/fs/cgroup/cgroup.controllers': 'cpuset cpu io memory\n' }));
  assert.deepEqual(newer && [weightOf(null, newer), weightOf(200, newer), weightOf(10_000, newer)], [100, 200, 10_000]);
  const mixed = `cgroup /c/cpu,cpuacct cgroup rw,cpu,cpuacct 0 0\n${unified}`;
  const controllers = { '/sys/fs/cgroup/cgroup.controllers': 'hugetlb\n', '/c/cpu,cpuacct/cpu.cfs_quota_us': '-1\n' };
  const older = await cpuWeights(host(mixed, controllers));
  assert.deepEqual(older && [weightOf(null, older), weightOf(200, older)], [1024, 2048]);
  assert.equal(await cpuWeights(host(unified, { '/sys/fs/cgroup/cgroup.controllers': 'memory pids\n' })), undefined);
  assert.equal(await cpuWeights(host('', {})), undefined);
});
