// What memory of a guest is measured by: how fast it is touched for the first time, and how fast pointers are followed in
// random order through more of it than caches and address translation hold.

import { setTimeout as delay } from 'node:timers/promises';
import { VirgaError } from '@virga/contract/errors';
import type { Metric } from '../../../host-bench/comparison.ts';
import { walkedPerSecond } from '../../../host-bench/guest-output.ts';
import type { BenchGuest } from '../bench-guest.ts';
import type { BenchWorld } from '../bench-world.ts';
import type { GuestSpec } from '../bench-xml.ts';

/** Below 512 MiB Linux leaves huge pages alone. */
export const memoryGuestMib = 640;
const touchedMib = 256;
const walkedMib = 128;
const pagesInMib = 256;
/** Less than a fifth of what is touched may be still with the guest. */
const spareMib = 48;
const giveBackMs = 60_000;
const lookMs = 500;

export const memoryMetrics: readonly Metric[] = [
  { name: 'first touch', unit: 'MiB/s', better: 'higher' },
  { name: 'random access', unit: 'M loads/s', better: 'higher' },
];

const work = `${touchedMib} MiB are touched for the first time, then pointers followed in random order through ${walkedMib} MiB`;

export const memoryConditions: readonly string[] = [
  `A fresh guest of ${memoryGuestMib} MiB for each measurement: ${work}.`,
  'The guest itself uses huge pages wherever it can.',
];

export const reusedGuestConditions: readonly string[] = [
  `One guest of ${memoryGuestMib} MiB: ${work}; before the next measurement the guest gives all of it back to the host, which is waited for.`,
  'The guest itself uses huge pages wherever it can.',
];

/** Figures of {@link memoryMetrics}, of a guest that is started for them. */
export async function measureFreshGuest(world: BenchWorld, more: Partial<GuestSpec> = {}): Promise<number[]> {
  const guest = await bootMemoryGuest(world, more);
  const figures = await measureMemory(world, guest);
  await world.end(guest);
  return figures;
}

export async function bootMemoryGuest(world: BenchWorld, more: Partial<GuestSpec> = {}): Promise<BenchGuest> {
  const guest = await world.boot({ vcpus: 1, memoryMib: memoryGuestMib, ...more });
  await guest.run('echo always >/sys/kernel/mm/transparent_hugepage/enabled');
  return guest;
}

export async function measureMemory(world: BenchWorld, guest: BenchGuest): Promise<number[]> {
  const touched = await guest.run(`memory-walk touch ${touchedMib * 1024}`);
  const walked = await guest.run(`memory-walk chase ${walkedMib * 1024} ${world.seconds}`, world.seconds * 1000);
  return [walkedPerSecond(touched) / pagesInMib, walkedPerSecond(walked) / 1e6];
}

/**
 * Waits until the host has what the guest no longer uses: a guest tells of free memory by its balloon, every two seconds.
 * @param residentMib what the guest had before
 * @throws OperationFailed it does not, within a minute
 */
export async function givenBack(world: BenchWorld, guest: BenchGuest, residentMib: number): Promise<void> {
  const deadline = performance.now() + giveBackMs;
  while ((await guest.residentMib()) > residentMib + spareMib) {
    if (performance.now() > deadline) {
      throw new VirgaError('OperationFailed', {
        detail: `${guest.name} has not given back its free memory within ${giveBackMs / 1000} s.`,
        action: 'Try again while the host is quieter.',
      });
    }
    await delay(lookMs, undefined, { signal: world.signal });
  }
}
