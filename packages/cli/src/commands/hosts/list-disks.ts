import type { HostDiskReport } from '@virga/contract/rest/host-disks';
import { defineCommand } from '../../command.ts';
import { eachBounded } from '../../each-bounded.ts';
import { listAll } from '../../list-all.ts';
import { findHost } from '../../lookup.ts';
import { formatBytes } from '../../output/format.ts';
import type { Column } from '../../output/table.ts';

const atOnce = 8;

export const listDisks = defineCommand({
  meta: {
    path: 'hosts disks',
    summary: 'Show the disks of hosts, and whether what they acknowledge outlives a power cut',
    details:
      'POWER CUT is safe where the disk has no volatile cache or one that a battery or capacitor keeps, volatile where it has ' +
      'one without, unknown where it does not say. WRITE-BACK is whether disks of guests on it may have that cache mode: ' +
      'refused, or allowed by name. Kernel, NVMe controllers and RAID controllers are asked; --format json shows what each said.',
    section: 'Resources',
  },
  args: { host: { summary: 'name or id; default every host', optional: true, complete: 'host' } },
  options: {},
  examples: [
    { command: 'virga hosts disks', explains: 'kind, scheduler and cache of each disk' },
    { command: 'virga hosts disks alpha --format json', explains: 'with what was read, and where' },
  ],
  async run(context, { args }) {
    const client = await context.client();
    const hosts =
      args.host === undefined
        ? await listAll((query) => client.listHosts({ query }))
        : [await findHost(client, args.host)];
    const reports = await eachBounded(hosts, atOnce, ({ id }) => client.listHostDisks({ params: { id } }));
    const items = reports.flatMap((report) => report.disks.map((disk) => rowOf(report, disk)));
    const unplaced = reports.filter(({ storage }) => storage.why !== null);
    await context.print.list(items, columns, (item) => item.name, 'No disk was found.');
    if (context.print.format === 'table') {
      for (const { hostName, storage } of unplaced) {
        context.print.note(`  storage of ${hostName}, ${storage.path}: ${storage.why}`);
      }
    }
    return 0;
  },
});

type Disk = HostDiskReport['disks'][number];
type Row = Disk & { host: string; writeback: 'yes' | 'refused' | 'allowed'; storage: string | null };

function rowOf({ hostName, storage, allowedWriteback }: HostDiskReport, disk: Disk): Row {
  const isAllowed = allowedWriteback.some(({ key }) => key === (disk.id ?? disk.name));
  const refusedOrAllowed = isAllowed ? 'allowed' : 'refused';
  return {
    host: hostName,
    ...disk,
    writeback: disk.protection.allowsWriteback ? 'yes' : refusedOrAllowed,
    storage: storage.devices.includes(disk.name) ? storage.path : null,
  };
}

const verdictStyle = ({ protection: { verdict } }: Row) =>
  (({ safe: 'green', volatile: 'red', unknown: 'yellow' }) as const)[verdict];

const columns: Column<Row>[] = [
  { header: 'HOST', value: (item) => item.host },
  { header: 'DISK', value: (item) => item.name, essential: true, whole: true },
  { header: 'CLASS', value: (item) => item.class, whole: true },
  { header: 'SIZE', value: (item) => formatBytes(item.sizeBytes), whole: true },
  { header: 'SCHEDULER', value: (item) => item.scheduler.chosen ?? '-', whole: true },
  { header: 'CACHE', value: (item) => item.writeCache ?? '-', whole: true },
  { header: 'POWER CUT', value: (item) => item.protection.verdict, whole: true, style: verdictStyle },
  { header: 'WRITE-BACK', value: (item) => item.writeback, whole: true },
  { header: 'STORAGE', value: (item) => item.storage ?? '-' },
  { header: 'LAYERS', value: (item) => item.usedBy.join(', ') || '-' },
  { header: 'MODEL', value: (item) => [item.vendor, item.model].filter(Boolean).join(' ') || '-' },
  { header: 'WHY', value: (item) => item.protection.why },
];
