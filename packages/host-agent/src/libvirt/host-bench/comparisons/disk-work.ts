// What disks are measured by: small reads and writes in random order, with what must last flushed now and then, as databases do.

import type { Metric } from '../../../host-bench/comparison.ts';
import { fioFigures } from '../../../host-bench/guest-output.ts';
import type { BenchGuest } from '../bench-guest.ts';
import { serialOf } from '../bench-xml.ts';

/** More than what is read and written in a measurement, and little enough to have many of them. */
export const diskMib = 64;

export const diskMetrics: readonly Metric[] = [
  { name: 'random reads', unit: 'IOPS', better: 'higher' },
  { name: 'random writes', unit: 'IOPS', better: 'higher' },
];

export const diskConditions: readonly string[] = [
  `fio in the guest, past its own cache: blocks of 4 KiB in random order on ${diskMib} MiB, 70 % reads, eight at a time, flushed after every 16th write.`,
];

/** Finds the virtio disk with the serial of that number. */
export async function virtioDisk(guest: BenchGuest, index: number): Promise<string> {
  const name = await guest.run(`cd /sys/block && grep -lx ${serialOf(index)} vd*/serial | cut -d/ -f1`);
  return `/dev/${name.trim()}`;
}

/** Figures of {@link diskMetrics}. */
export async function measureDisk(guest: BenchGuest, device: string, seconds: number): Promise<number[]> {
  const output = await guest.run(
    `fio --name=bench --filename=${device} --rw=randrw --rwmixread=70 --bs=4k --size=${diskMib}m --direct=1 --ioengine=libaio ` +
      `--iodepth=8 --fdatasync=16 --time_based --runtime=${seconds} --output-format=json`,
    seconds * 1000,
  );
  const { readIops, writeIops } = fioFigures(output);
  return [readIops, writeIops];
}
