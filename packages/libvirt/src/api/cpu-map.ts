// libvirt's bitmaps of processors: bit 0 of the first byte is processor 0.
import { InvalidValue } from '../errors.ts';

/** The numbers of the processors whose bit is set. */
export function cpusOfMap(map: Uint8Array): number[] {
  const cpus: number[] = [];
  map.forEach((byte, index) => {
    for (let bit = 0; bit < 8; bit++) if (byte & (1 << bit)) cpus.push(index * 8 + bit);
  });
  return cpus;
}

/** The bitmap with these processors, as long as it must be. @throws InvalidValue a number is not 0 or more, or there is none */
export function mapOfCpus(cpus: readonly number[]): Uint8Array {
  if (cpus.length === 0 || cpus.some((cpu) => !Number.isInteger(cpu) || cpu < 0 || cpu > 16_383)) {
    throw new InvalidValue(`processors must be named by numbers from 0 to 16383, not '${cpus.join(',')}'`);
  }
  const map = new Uint8Array((Math.max(...cpus) >> 3) + 1);
  for (const cpu of cpus) map[cpu >> 3]! |= 1 << (cpu & 7);
  return map;
}
