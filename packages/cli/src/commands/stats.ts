import { setTimeout as delay } from 'node:timers/promises';
import type { Statistics } from '@virga/contract/rest/instance-instruments';
import type { Instance } from '@virga/contract/rest/instances';
import { defineCommand } from '../command.ts';
import { eachBounded } from '../each-bounded.ts';
import { listAll } from '../list-all.ts';
import { formatBytes } from '../output/format.ts';
import type { Column } from '../output/table.ts';
import { findInstances } from './instance-change.ts';

const atOnce = 8;

/** Rates are over the time between two measurements. */
export type Usage = {
  id: Instance['id'];
  name: string;
  /** Of one core: 200 is two of them. */
  cpuPercent: number;
  memoryBytes: number;
  residentBytes: number | null;
  readBytesPerSecond: number;
  writtenBytesPerSecond: number;
  receivedBytesPerSecond: number;
  sentBytesPerSecond: number;
};

export const stats = defineCommand({
  meta: {
    path: 'stats',
    summary: 'Show what running instances use of processor, memory, disks and networks',
    details: 'Measures twice, and shows what was used in between. Without names it shows all that run.',
    section: 'Instances',
  },
  args: { instances: { summary: 'names or ids', variadic: true, optional: true, complete: 'instance' } },
  options: {
    interval: {
      type: 'integer',
      value: 'SECONDS',
      summary: 'time between the measurements',
      minimum: 1,
      maximum: 3600,
      default: 1,
    },
  },
  examples: [
    { command: 'virga stats', explains: 'who keeps the cloud busy' },
    { command: 'virga stats web --interval 60', explains: 'over a minute' },
  ],
  async run(context, { args, options }) {
    const client = await context.client();
    const asked = args.instances ?? [];
    const instances =
      asked.length > 0
        ? await findInstances(context, asked)
        : await listAll((query) => client.listInstances({ query: { ...query, state: 'running' } }));
    const measure = async () => {
      const measured = new Map<string, Statistics>();
      await eachBounded(instances, atOnce, async ({ id }) => {
        measured.set(id, await client.getStatistics({ params: { id } }));
      });
      return measured;
    };
    const first = await measure();
    if (instances.length > 0) await delay(options.interval * 1000, undefined, { signal: context.interrupt() });
    const second = await measure();
    const items = instances.map(({ id, name }) => usage({ id, name }, first.get(id)!, second.get(id)!));
    await context.print.list(items, columns, (item) => item.id, 'No instance runs.');
    return 0;
  },
});

export function usage({ id, name }: Pick<Instance, 'id' | 'name'>, first: Statistics, second: Statistics): Usage {
  const seconds = (Date.parse(second.at) - Date.parse(first.at)) / 1000;
  const rate = (read: (statistics: Statistics) => number) =>
    // It was started anew in between: what it has used since is all that is known.
    seconds > 0 ? Math.max(0, Math.round((read(second) - Math.min(read(first), read(second))) / seconds)) : 0;
  const sum = <T>(items: readonly T[], read: (item: T) => number) => items.reduce((total, it) => total + read(it), 0);
  return {
    id,
    name,
    cpuPercent: rate(({ cpuTimeNs }) => cpuTimeNs / 1e5) / 100,
    memoryBytes: second.memory.currentKib * 1024,
    residentBytes: second.memory.residentKib === null ? null : second.memory.residentKib * 1024,
    readBytesPerSecond: rate(({ disks }) => sum(disks, (disk) => disk.readBytes)),
    writtenBytesPerSecond: rate(({ disks }) => sum(disks, (disk) => disk.writtenBytes)),
    receivedBytesPerSecond: rate(({ networkInterfaces }) => sum(networkInterfaces, (nic) => nic.receivedBytes)),
    sentBytesPerSecond: rate(({ networkInterfaces }) => sum(networkInterfaces, (nic) => nic.sentBytes)),
  };
}

const perSecond = (bytes: number): string => `${formatBytes(bytes)}/s`;

const columns: Column<Usage>[] = [
  { header: 'NAME', value: (item) => item.name, essential: true },
  { header: 'CPU', value: (item) => `${item.cpuPercent.toFixed(1)} %`, whole: true },
  { header: 'MEMORY', value: (item) => formatBytes(item.memoryBytes), whole: true },
  { header: 'ON HOST', value: (item) => formatBytes(item.residentBytes), whole: true },
  { header: 'READ', value: (item) => perSecond(item.readBytesPerSecond), whole: true },
  { header: 'WRITE', value: (item) => perSecond(item.writtenBytesPerSecond), whole: true },
  { header: 'RECEIVE', value: (item) => perSecond(item.receivedBytesPerSecond), whole: true },
  { header: 'SEND', value: (item) => perSecond(item.sentBytesPerSecond), whole: true },
];
