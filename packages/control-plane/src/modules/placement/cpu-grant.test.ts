import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { CpuPolicy } from '@virga/contract/agent/desired';
import type { HostCpu } from '@virga/contract/agent/host-facts';
import { type CpuGrant, coresOf, grantCpus, type HostCpus, isExclusive, sharedCpus } from './cpu-grant.ts';

type Machine = {
  nodes?: number;
  coresPerNode?: number;
  threads?: number;
  isolated?: number[];
  reserved?: number[];
  memoryMib?: number;
};

/** As many real machines number their CPUs: first one thread of each core, then their siblings. */
function hostOf({
  nodes = 1,
  coresPerNode = 4,
  threads = 1,
  isolated = [],
  reserved = [],
  ...rest
}: Machine): HostCpus {
  const { memoryMib = 16_384 } = rest;
  const cores = nodes * coresPerNode;
  const cpus = Array.from({ length: cores * threads }, (_, id): HostCpu => {
    const node = Math.floor((id % cores) / coresPerNode);
    return { id, node, socket: node, core: (id % cores) % coresPerNode, isolated: isolated.includes(id) };
  });
  return {
    cpus,
    nodes: Array.from({ length: nodes }, (_, id) => ({ id, memoryMib })),
    reserved: new Set(reserved),
    held: new Set(),
    homes: new Map(),
    homeless: { vcpus: 0, memoryMib: 0 },
    vcpusPerCpu: 4,
  };
}

const ask = (
  host: HostCpus,
  policy: CpuPolicy,
  vcpus: number,
  more: { hostCpus?: number[]; present?: number[] } = {},
) => grantCpus(host, { policy, vcpus, memoryMib: 512, ...more });

test('a dedicated vCPU takes its whole core, and the sibling stays idle', () => {
  const host = hostOf({ threads: 2 });
  assert.deepEqual(ask(host, 'dedicated', 1), { node: 0, hostCpus: [3], idle: [7] });
  assert.deepEqual(ask(host, 'dedicated', 2), { node: 0, hostCpus: [3, 7], idle: [] });
  assert.deepEqual(ask(host, 'dedicated', 3), { node: 0, hostCpus: [2, 6, 3], idle: [7] });
});

test('a node counts when it has the huge pages too, of that size', () => {
  const pages = (first: number, second: number) => {
    const host = hostOf({ nodes: 2 });
    const nodes = host.nodes.map((node, index) => ({ ...node, hugePages: { 2048: index === 0 ? first : second } }));
    return { ...host, nodes };
  };
  const hugePages = { kib: 2048, count: 100 } as const;
  const of = (host: HostCpus, policy: CpuPolicy, kib: 2048 | 1_048_576 = 2048) =>
    grantCpus(host, { policy, vcpus: 1, memoryMib: 0, hugePages: { ...hugePages, kib } });
  assert.equal(of(pages(99, 100), 'numa')?.node, 1);
  assert.equal(of(pages(100, 100), 'numa', 1_048_576), undefined);
  assert.equal(of(pages(99, 99), 'numa'), undefined);
  assert.equal(of(pages(99, 99), 'shared')?.node, null);
  assert.deepEqual([of(pages(99, 100), 'dedicated')?.node, of(pages(99, 99), 'dedicated')?.node], [1, null]);
  const taken = { vcpus: 1, memoryMib: 0, hugePages: { 2048: 60 } };
  const used = { ...pages(150, 300), homes: new Map([[0, taken]]), homeless: taken };
  // A third of what is at home nowhere lies in the first node.
  assert.deepEqual([of(used, 'numa')?.node, of({ ...used, homes: new Map([[1, taken]]) }, 'numa')?.node], [1, 0]);
});

test('one CPU stays for those who have none for themselves, and those of shared instances stay theirs', () => {
  assert.equal(ask(hostOf({}), 'dedicated', 4), undefined);
  assert.deepEqual(ask(hostOf({}), 'dedicated', 3)?.hostCpus, [1, 2, 3]);
  assert.deepEqual(ask(hostOf({ reserved: [0] }), 'dedicated', 3)?.hostCpus, [1, 2, 3]);
  const busy = { ...hostOf({}), homeless: { vcpus: 9, memoryMib: 0 } };
  assert.equal(ask(busy, 'dedicated', 2), undefined, 'nine vCPUs need three CPUs, four to each');
  assert.deepEqual(ask(busy, 'dedicated', 1)?.hostCpus, [3]);
  assert.equal(ask(busy, 'shared', 8), undefined);
});

test('a core of which the host keeps a thread is nobody else’s to have for himself', () => {
  const host = hostOf({ threads: 2, reserved: [7] });
  assert.deepEqual(ask(host, 'dedicated', 2)?.hostCpus, [2, 6]);
  assert.equal(ask(host, 'dedicated', 1, { hostCpus: [3] }), undefined, 'its sibling is reserved');
});

test('isolated CPUs go to who asks for them, and others keep off', () => {
  const host = hostOf({ isolated: [2, 3] });
  assert.deepEqual(ask(host, 'isolated', 2)?.hostCpus, [2, 3]);
  assert.equal(ask(host, 'isolated', 3), undefined);
  assert.deepEqual(ask(host, 'dedicated', 1)?.hostCpus, [1]);
  assert.deepEqual(ask(hostOf({}), 'isolated', 1)?.hostCpus, [3], 'a host without any dedicates');
  const full = { ...host, homeless: { vcpus: 8, memoryMib: 0 } };
  assert.deepEqual(ask(full, 'isolated', 2)?.hostCpus, [2, 3], 'that costs the shared ones nothing');
});

test('small instances are at home in one node of several, the one with the most free memory', () => {
  const host = { ...hostOf({ nodes: 2 }), homes: new Map([[0, { vcpus: 1, memoryMib: 1024 }]]) };
  assert.equal(ask(host, 'shared', 2)?.node, 1);
  assert.equal(ask(host, 'shared', 5)?.node, null, 'no node has five CPUs');
  assert.equal(ask(host, 'numa', 5), undefined);
  assert.equal(ask(hostOf({ nodes: 2, memoryMib: 400 }), 'numa', 1), undefined, 'no node has the memory');
  assert.equal(ask(hostOf({ nodes: 2, memoryMib: 400 }), 'shared', 1)?.node, null);
  assert.equal(ask(hostOf({}), 'shared', 1)?.node, null, 'where there is one node, nobody is at home');
});

test('dedicated CPUs are of one node where one has enough, and of several where none has', () => {
  const host = hostOf({ nodes: 2, threads: 2 });
  assert.equal(new Set(ask(host, 'dedicated', 8)?.hostCpus.map((cpu) => (cpu % 8 < 4 ? 0 : 1))).size, 1);
  const both = ask(host, 'dedicated', 12);
  assert.equal(both?.node, null);
  assert.equal(both?.hostCpus.length, 12);
});

test('who grows keeps the CPUs that it has, and uses its idle siblings first', () => {
  const host = hostOf({ threads: 2 });
  assert.deepEqual(ask(host, 'dedicated', 2, { present: [1] })?.hostCpus, [1, 5]);
  assert.deepEqual(ask(host, 'dedicated', 3, { present: [1, 5] })?.hostCpus, [1, 5, 3]);
});

test('chosen CPUs are given as they were named, or not at all', () => {
  const host = hostOf({ threads: 2 });
  assert.deepEqual(ask(host, 'dedicated', 2, { hostCpus: [2, 1] }), { node: 0, hostCpus: [2, 1], idle: [5, 6] });
  assert.equal(ask({ ...host, held: new Set([5]) }, 'dedicated', 1, { hostCpus: [1] }), undefined);
  assert.equal(ask(host, 'dedicated', 1, { hostCpus: [99] }), undefined);
});

test('whatever comes and goes, no CPU has two owners, no core two, and what is promised stays', () => {
  for (let seed = 1; seed <= 150; seed++) {
    const random = generator(seed);
    const upTo = (n: number) => Math.floor(random() * n);
    const machine = {
      nodes: 1 + upTo(4),
      coresPerNode: 1 + upTo(6),
      threads: 1 + upTo(2),
      memoryMib: 4096,
    };
    const all = machine.nodes * machine.coresPerNode * machine.threads;
    const some = (share: number) => Array.from({ length: all }, (_, cpu) => cpu).filter(() => random() < share);
    const base = hostOf({ ...machine, isolated: some(0.1), reserved: some(0.1) });
    const living = new Map<number, { policy: CpuPolicy; vcpus: number; memoryMib: number; grant: CpuGrant }>();
    const now = (): HostCpus => stateOf(base, [...living.values()]);
    for (let step = 0; step < 40; step++) {
      if (random() < 0.35 && living.size > 0) {
        living.delete([...living.keys()][upTo(living.size)]!);
      } else {
        const policy = (['shared', 'dedicated', 'numa', 'isolated'] as const)[upTo(4)]!;
        const demand = { policy, vcpus: 1 + upTo(6), memoryMib: 128 * (1 + upTo(8)) };
        const grant = grantCpus(now(), demand);
        if (grant) {
          living.set(step, { ...demand, grant });
          checkGrant(base, demand.policy, demand.vcpus, grant, `seed ${seed}, step ${step}`);
        }
      }
      checkHost(base, [...living.values()], `seed ${seed}, step ${step}`);
    }
  }
});

type Living = { policy: CpuPolicy; vcpus: number; memoryMib: number; grant: CpuGrant };

function stateOf(base: HostCpus, living: readonly Living[]): HostCpus {
  const homes = new Map<number, { vcpus: number; memoryMib: number }>();
  const homeless = { vcpus: 0, memoryMib: 0 };
  for (const { policy, vcpus, memoryMib, grant } of living) {
    const place = grant.node === null ? homeless : (homes.get(grant.node) ?? { vcpus: 0, memoryMib: 0 });
    if (grant.node !== null) homes.set(grant.node, place);
    place.vcpus += isExclusive(policy) ? 0 : vcpus;
    place.memoryMib += memoryMib;
  }
  const held = new Set(living.flatMap(({ grant }) => [...grant.hostCpus, ...grant.idle]));
  return { ...base, held, homes, homeless };
}

function checkGrant(base: HostCpus, policy: CpuPolicy, vcpus: number, grant: CpuGrant, where: string): void {
  if (!isExclusive(policy)) {
    assert.deepEqual(grant.hostCpus, [], where);
    return;
  }
  assert.equal(new Set(grant.hostCpus).size, vcpus, where);
  const taken = new Set([...grant.hostCpus, ...grant.idle]);
  for (const core of coresOf(base.cpus)) {
    const own = core.filter(({ id }) => taken.has(id)).length;
    assert.ok(own === 0 || own === core.length, `${where}: a core is shared`);
  }
  for (const cpu of taken) assert.ok(!base.reserved.has(cpu), `${where}: reserved`);
  if (grant.node === null) return;
  for (const cpu of grant.hostCpus) assert.equal(base.cpus.find(({ id }) => id === cpu)?.node, grant.node, where);
}

function checkHost(base: HostCpus, living: readonly Living[], where: string): void {
  const taken = living.flatMap(({ grant }) => [...grant.hostCpus, ...grant.idle]);
  assert.equal(new Set(taken).size, taken.length, `${where}: a CPU has two owners`);
  const host = stateOf(base, living);
  const shared = sharedCpus(host);
  const promised = [...host.homes.values()].reduce((sum, { vcpus }) => sum + vcpus, host.homeless.vcpus);
  assert.ok(promised <= shared.length * host.vcpusPerCpu, `${where}: more is promised than is shared`);
  const isStarved = shared.length === 0 && host.reserved.size === 0;
  assert.ok(!isStarved || sharedCpus(base).length === 0, `${where}: nothing is left for anybody else`);
  for (const [id, { vcpus }] of host.homes) {
    const here = shared.filter(({ node }) => node === id).length;
    assert.ok(vcpus <= here * host.vcpusPerCpu, `${where}: node ${id} has promised more than it shares`);
  }
}

/** Mulberry32: the same numbers for the same seed. */
function generator(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
