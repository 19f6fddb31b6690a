// Merging of equal memory pages (KSM) among guests of one image: what it saves, what it takes of a CPU, and how long it takes,
// by how many pages it looks at in each round.
import { setTimeout as delay } from 'node:timers/promises';
import { type Metric, NotPossible } from '../../../host-bench/comparison.ts';
import type { HostSystem } from '../../../host-system/host-system.ts';
import type { BenchWorld } from '../bench-world.ts';
import type { Comparison } from './comparison.ts';

const folder = '/sys/kernel/mm/ksm';
const guests = 3;
const memoryMib = 192;
const pageBytes = 4096;
const mebibyte = 1024 ** 2;
/** The kernel's own, and what profiles use. */
const pagesToScan = ['100', '1000', '5000'] as const;
const lookMs = 250;
/** It is settled when this long nothing more came to speak of. */
const settledMs = 4_000;
const settledShare = 0.01;
/** At the kernel's own pace a page is merged when it was looked at twice, which takes most of a minute for all of them. */
const giveUpMs = 90_000;
const ticksPerSecond = 100;

export const ksm: Comparison = {
  title: 'merging of equal pages (KSM)',
  async prepare(world) {
    const { system } = world.context;
    if (!(await system.exists(`${folder}/run`))) throw new NotPossible('its kernel cannot merge pages');
    const started = [];
    for (let number = 0; number < guests; number++) started.push(await world.start({ vcpus: 1, memoryMib }));
    for (const guest of started) await guest.booted();
    const ksmd = await findKsmd(system);
    const paid: Metric[] = ksmd === undefined ? [] : [{ name: 'CPU taken', unit: '% of a CPU', better: 'lower' }];
    return {
      settings: pagesToScan.map((pages) => `${pages} pages a round`),
      metrics: [
        { name: 'memory saved', unit: 'MiB', better: 'higher' },
        { name: 'time to converge', unit: 's', better: 'lower' },
        ...paid,
      ],
      conditions: [
        `${guests} idle guests of ${memoryMib} MiB from one image; all pages are taken apart before each measurement.`,
        `Converged is when less than ${settledShare * 100} % more was merged in ${settledMs / 1000} s; after ${giveUpMs / 1000} s it is given up, and that is the time.`,
        ...(ksmd === undefined
          ? ['The kernel thread that merges cannot be seen from here, so what it takes was not measured.']
          : []),
      ],
      measure: (setting) => converge(world, setting.split(' ')[0]!, ksmd),
    };
  },
};

async function converge(world: BenchWorld, pages: string, ksmd: string | undefined): Promise<number[]> {
  const { system } = world.context;
  const set = (run: '1' | '2') =>
    world.set([
      { setting: { kind: 'value', path: `${folder}/pages_to_scan`, value: pages }, why: 'a benchmark compares it' },
      { setting: { kind: 'value', path: `${folder}/run`, value: run }, why: 'a benchmark measures it' },
    ]);
  await set('2');
  const deadline = performance.now() + giveUpMs;
  while ((await sharedPages(system)) > 0) {
    if (performance.now() > deadline) throw new NotPossible('its kernel does not take merged pages apart');
    await delay(lookMs, undefined, { signal: world.signal });
  }
  const ticksBefore = ksmd === undefined ? 0 : await ticksOf(system, ksmd);
  const began = performance.now();
  await set('1');
  // Shared pages, each look.
  const looks: { atMs: number; pages: number }[] = [];
  for (;;) {
    await delay(lookMs, undefined, { signal: world.signal });
    const atMs = performance.now() - began;
    looks.push({ atMs, pages: await sharedPages(system) });
    if (atMs > giveUpMs || isSettled(looks)) break;
  }
  const { atMs, pages: saved } = looks.at(-1)!;
  const ticks = ksmd === undefined ? 0 : (await ticksOf(system, ksmd)) - ticksBefore;
  const enough = saved * (1 - settledShare);
  const convergedMs = atMs > giveUpMs ? atMs : looks.find((look) => look.pages >= enough)!.atMs;
  const paid = ksmd === undefined ? [] : [(100 * ticks) / ticksPerSecond / (atMs / 1000)];
  return [(saved * pageBytes) / mebibyte, convergedMs / 1000, ...paid];
}

function isSettled(looks: readonly { atMs: number; pages: number }[]): boolean {
  const { atMs, pages } = looks.at(-1)!;
  const before = looks.findLast((look) => look.atMs <= atMs - settledMs);
  return before !== undefined && pages > 0 && pages - before.pages <= pages * settledShare;
}

async function sharedPages(system: HostSystem): Promise<number> {
  return Number(await system.read(`${folder}/pages_sharing`));
}

async function findKsmd(system: HostSystem): Promise<string | undefined> {
  for (const pid of await system.list('/proc')) {
    if (/^\d+$/.test(pid) && (await system.read(`/proc/${pid}/comm`))?.trim() === 'ksmd') return pid;
  }
  return undefined;
}

/** Time on CPUs. @see man 5 proc_pid_stat, fields 14 and 15 */
async function ticksOf(system: HostSystem, pid: string): Promise<number> {
  const fields = (await system.read(`/proc/${pid}/stat`))?.replace(/^.*\) /s, '').split(' ') ?? [];
  return Number(fields[11] ?? 0) + Number(fields[12] ?? 0);
}
