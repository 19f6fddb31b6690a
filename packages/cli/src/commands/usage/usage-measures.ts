// What is shown of the usage of a host and of an instance.
import type { HostUsagePoint, InstanceUsagePoint } from '@virga/contract/rest/host-usage';
import { bytesPerSecond, type Measured, mib, percent } from './usage-table.ts';

type Point = { at: string; seconds: number };
type Read<P> = (point: P) => number | null;

const reader =
  <P extends Point>(points: readonly P[]) =>
  (
    title: string,
    format: Measured['format'],
    read: Read<P>,
    more: Omit<Partial<Measured>, 'values'> = {},
  ): Measured => ({
    title,
    format,
    values: points.map((point) => ({ atMs: Date.parse(point.at), seconds: point.seconds, value: read(point) })),
    ...more,
  });

const most = <P>(points: readonly P[], read: Read<P>): number | null => {
  const known = points.flatMap((point) => read(point) ?? []);
  return known.length > 0 ? Math.max(...known) : null;
};
const share = (part: number, whole: number) => (whole > 0 ? (100 * part) / whole : 0);
const ofHundred = (part: number | null) => (part === null ? null : part * 100);

export function hostMeasures(points: readonly HostUsagePoint[]): Measured[] {
  const measure = reader(points);
  const full = { ceiling: 100 };
  const memoryMib = points.at(-1)?.memoryMib ?? 0;
  const all = [
    measure('processors', percent, (it) => share(it.cpusBusy, it.threads), {
      ...full,
      highest: most(points, (it) => share(it.cpusBusyMax, it.threads)),
    }),
    measure('busiest thread', percent, (it) => it.busiestCpu * 100, full),
    measure('stolen', percent, (it) => share(it.cpusStolen, it.threads), full),
    measure('memory', mib, (it) => it.memoryUsedMib, {
      ceiling: memoryMib,
      highest: most(points, (it) => it.memoryUsedMibMax),
    }),
    measure('swap', mib, (it) => it.swapUsedMib),
    measure('disk read', bytesPerSecond, (it) => it.readBytesPerSecond),
    measure('disk written', bytesPerSecond, (it) => it.writtenBytesPerSecond),
    measure('disk busy', percent, (it) => ofHundred(it.diskBusy), full),
    measure('received', bytesPerSecond, (it) => it.receivedBytesPerSecond),
    measure('sent', bytesPerSecond, (it) => it.sentBytesPerSecond),
    measure('waits for CPU', percent, (it) => ofHundred(it.cpuPressure), full),
    measure('waits for memory', percent, (it) => ofHundred(it.memoryPressure), full),
    measure('waits for disk', percent, (it) => ofHundred(it.ioPressure), full),
  ];
  // What most hosts never do is shown of those that do it.
  return all.filter(
    ({ title, values }) => !isRare.has(title) || values.some(({ value }) => value !== null && value > 0),
  );
}

const isRare = new Set(['stolen', 'swap']);

export function instanceMeasures(points: readonly InstanceUsagePoint[]): Measured[] {
  const measure = reader(points);
  const memoryMib = points.at(-1)?.memoryMib ?? 0;
  return [
    measure('processors', percent, (it) => share(it.cpusBusy, it.vcpus), {
      ceiling: 100,
      highest: most(points, (it) => share(it.cpusBusyMax, it.vcpus)),
    }),
    measure('waits for CPU', percent, (it) => (it.cpusWaiting === null ? null : share(it.cpusWaiting, it.vcpus)), {
      ceiling: 100,
    }),
    measure('memory in guest', mib, (it) => it.memoryUsedMib, {
      ceiling: memoryMib,
      highest: most(points, (it) => it.memoryUsedMibMax),
    }),
    measure('memory on host', mib, (it) => it.residentMib, { ceiling: memoryMib }),
    measure('disk read', bytesPerSecond, (it) => it.readBytesPerSecond),
    measure('disk written', bytesPerSecond, (it) => it.writtenBytesPerSecond),
    measure('received', bytesPerSecond, (it) => it.receivedBytesPerSecond),
    measure('sent', bytesPerSecond, (it) => it.sentBytesPerSecond),
  ];
}
