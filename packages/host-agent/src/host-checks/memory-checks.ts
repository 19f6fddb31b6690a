// What the host does with memory: huge pages, merging, swap and what it promises.
import { hostTopology } from '../host-topology/host-topology.ts';
import type { HostCheck } from './host-check.ts';
import { sysctlRepair, sysfsRepair } from './repairs.ts';

const hugePages: HostCheck = {
  name: 'huge-pages',
  title: 'Static huge pages',
  why: 'They are taken from everything else, so they should be reserved for guests that ask for them, and be reachable.',
  async look(look) {
    const { numaNodes } = await hostTopology(look.system);
    const pools = numaNodes.flatMap(({ id, hugePages }) => hugePages.map((pool) => ({ node: id, ...pool })));
    const reserved = pools.filter(({ total }) => total > 0);
    for (const { node, sizeKib, total, free } of pools) {
      look.note(`node ${node}, pages of ${sizeKib} KiB`, `${total} reserved, ${free} free`);
    }
    if (reserved.length === 0) return { verdict: 'ok', seen: 'None are reserved; guests use ordinary memory.' };
    const mib = reserved.reduce((sum, { sizeKib, total }) => sum + (sizeKib * total) / 1024, 0);
    const isHugetlbfs = /^\S+ (\S+) hugetlbfs/m;
    const mounts = (await look.read('/proc/mounts', (text) => isHugetlbfs.exec(text)?.[0] ?? 'no hugetlbfs')) ?? '';
    if (!isHugetlbfs.test(mounts)) {
      return {
        verdict: 'warning',
        seen: `${mib} MiB are reserved, which no guest can use: hugetlbfs is not mounted.`,
        todo: 'mount -t hugetlbfs hugetlbfs /dev/hugepages, then start libvirtd anew.',
      };
    }
    if (reserved.every(({ total, free }) => total === free)) {
      return {
        verdict: 'advice',
        seen: `${mib} MiB are reserved, and nothing uses them.`,
        todo: 'Run instances of a type with huge pages, or give the pages back.',
      };
    }
    return { verdict: 'ok', seen: `${mib} MiB are reserved and in use.` };
  },
};

const ksmFolder = '/sys/kernel/mm/ksm';

const ksm: HostCheck = {
  name: 'ksm',
  title: 'Merging of equal memory (KSM)',
  why: 'It lets more guests fit, costs processor time, and lets a guest find out what another one has in memory.',
  async look(look) {
    const run = await look.read(`${ksmFolder}/run`);
    if (run === undefined) return { verdict: 'advice', seen: 'The kernel has no KSM.' };
    if (run !== '1') return { verdict: 'ok', seen: 'The kernel has it, and it is off.' };
    const shared = (await look.readNumber(`${ksmFolder}/pages_sharing`)) ?? 0;
    const across = await look.read(`${ksmFolder}/merge_across_nodes`);
    const nodes = (await hostTopology(look.system)).numaNodes.length;
    const seen = `It is on and saves ${Math.round(shared / 256)} MiB`;
    if (nodes > 1 && across === '1' && !look.isTuned(`${ksmFolder}/merge_across_nodes`)) {
      return {
        verdict: 'advice',
        seen: `${seen}; pages are merged across nodes, so guests read memory of other nodes.`,
        todo: `With KSM stopped (echo 2 > ${ksmFolder}/run): echo 0 > ${ksmFolder}/merge_across_nodes.`,
      };
    }
    return { verdict: 'ok', seen: `${seen}.` };
  },
};

const thpPath = '/sys/kernel/mm/transparent_hugepage/enabled';

const transparentHugePages: HostCheck = {
  name: 'transparent-huge-pages',
  title: 'Transparent huge pages',
  why: 'With them a guest’s memory needs far fewer address translations; QEMU asks for them.',
  repairs: 'transparent_hugepage/enabled, now and at each start',
  async look(look) {
    const text = await look.read(thpPath);
    if (text === undefined) return { verdict: 'advice', seen: 'The kernel has none.' };
    const chosen = /\[(\w+)\]/.exec(text)?.[1] ?? text;
    if (chosen !== 'never') return { verdict: 'ok', seen: `The kernel gives them: ${chosen}.` };
    return {
      verdict: 'warning',
      seen: 'The kernel was told never to give them.',
      settings: sysfsRepair(
        'transparent-huge-pages',
        [[thpPath, 'madvise']],
        'Programs that ask for them get them, as QEMU does.',
      ),
    };
  },
};

const swap: HostCheck = {
  name: 'swap',
  title: 'Swap',
  why: 'Without any, the kernel kills a guest when memory runs out, instead of becoming slow.',
  async look(look) {
    const read = (text: string) =>
      text
        .split('\n')
        .slice(1)
        .filter((line) => line.trim() !== '');
    const devices = read((await look.read('/proc/swaps', (text) => read(text).join('; ') || 'none')) ?? '');
    if (devices.length === 0) {
      return {
        verdict: 'advice',
        seen: 'The host has no swap.',
        todo: 'Add some, such as 4 GiB: fallocate -l 4G /swapfile && chmod 600 /swapfile && mkswap /swapfile && swapon /swapfile.',
      };
    }
    const kib = devices.reduce((sum, line) => sum + Number(line.split(/\s+/)[2] ?? 0), 0);
    return { verdict: 'ok', seen: `The host has ${Math.round(kib / 1024)} MiB of swap.` };
  },
};

/** Above it the kernel swaps guests out to make room for its file cache. */
const mostSwappiness = 20;
const goodSwappiness = 10;

const swappiness: HostCheck = {
  name: 'swappiness',
  title: 'Swappiness',
  why: 'The higher it is, the sooner idle guests are swapped out for file cache, and are slow when they wake.',
  repairs: 'vm.swappiness, now and at each start',
  async look(look) {
    const value = await look.readNumber('/proc/sys/vm/swappiness');
    if (value === undefined) return { verdict: 'not-applicable', seen: 'The kernel does not tell.' };
    if (value <= mostSwappiness) return { verdict: 'ok', seen: `It is ${value}.` };
    return {
      verdict: 'advice',
      seen: `It is ${value}, which suits a desktop; hosts of guests do well with ${goodSwappiness}.`,
      settings: sysctlRepair(
        'swappiness',
        'vm/swappiness',
        String(goodSwappiness),
        'Guests stay in memory longer than file cache.',
      ),
    };
  },
};

const overcommit: HostCheck = {
  name: 'memory-overcommit',
  title: 'What the kernel promises of memory',
  why: 'A kernel that promises only what it has (mode 2) refuses guests that would fit.',
  repairs: 'vm.overcommit_memory, now and at each start',
  async look(look) {
    const mode = await look.read('/proc/sys/vm/overcommit_memory');
    if (mode !== '2')
      return { verdict: 'ok', seen: `Mode ${mode ?? 'unknown'}: programs get what they ask for within reason.` };
    return {
      verdict: 'warning',
      seen: 'Mode 2: the kernel refuses what it has not set aside.',
      settings: sysctlRepair(
        'memory-overcommit',
        'vm/overcommit_memory',
        '0',
        'Guests get memory as long as there is some.',
      ),
    };
  },
};

export const memoryChecks: readonly HostCheck[] = [hugePages, ksm, transparentHugePages, swap, swappiness, overcommit];
