// What memory of a guest is measured by: how fast it is touched for the first time, and how fast pointers are followed in
// random order through more of it than caches and address translation hold.

import type { Metric } from '../../../host-bench/comparison.ts';
import { walkedPerSecond } from '../../../host-bench/guest-output.ts';
import type { BenchWorld } from '../bench-world.ts';
import type { GuestSpec } from '../bench-xml.ts';

/** Below 512 MiB Linux leaves huge pages alone. */
export const memoryGuestMib = 640;
const touchedMib = 256;
const walkedMib = 128;
const pagesInMib = 256;

export const memoryMetrics: readonly Metric[] = [
  { name: 'first touch', unit: 'MiB/s', better: 'higher' },
  { name: 'random access', unit: 'M loads/s', better: 'higher' },
];

export const memoryConditions: readonly string[] = [
  `A fresh guest of ${memoryGuestMib} MiB for each measurement: ${touchedMib} MiB are touched for the first time, then pointers followed in random order through ${walkedMib} MiB.`,
  'The guest itself uses huge pages wherever it can.',
];

/** Figures of {@link memoryMetrics}, of a guest that is started for them. */
export async function measureMemory(world: BenchWorld, more: Partial<GuestSpec> = {}): Promise<number[]> {
  const guest = await world.boot({ vcpus: 1, memoryMib: memoryGuestMib, ...more });
  await guest.run('echo always >/sys/kernel/mm/transparent_hugepage/enabled');
  const touched = await guest.run(`memory-walk touch ${touchedMib * 1024}`);
  const walked = await guest.run(`memory-walk chase ${walkedMib * 1024} ${world.seconds}`, world.seconds * 1000);
  await world.end(guest);
  return [walkedPerSecond(touched) / pagesInMib, walkedPerSecond(walked) / 1e6];
}
