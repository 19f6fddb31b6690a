import type { HostConsolidation, InstanceVerdict, UsageReport } from '@virga/contract/rest/host-usage';
import { defineCommand } from '../../command.ts';
import { formatMib } from '../../output/format.ts';
import type { Column } from '../../output/table.ts';
import type { Terminal } from '../../output/terminal.ts';

const dayMs = 86_400_000;
const counted = (count: number, noun: string) => `${count} ${noun}${count === 1 ? '' : 's'}`;
const percent = (value: number | null) => (value === null ? '-' : `${value < 10 ? value : Math.round(value)} %`);

export const usageReport = defineCommand({
  meta: {
    path: 'hosts report',
    summary: 'Show how well hosts are used: idle and wrongly sized instances, and how many hosts would do',
    details:
      'Looks at what instances that are on have used. Idle: less than 3 % of the processor, and next to nothing of disk and ' +
      'network. Oversized: less than 20 % of the processor and 40 % of the memory, and a smaller type has room for that. ' +
      'Undersized: 90 % of either, or waiting for a processor. All at most for 95 % of the time. Of an instance that was ' +
      'seen for less than --minimum-hours nothing is said. Nothing is changed: resize, stop or delete as you think right.',
    section: 'Resources',
  },
  args: {},
  options: {
    days: { type: 'integer', value: 'N', summary: 'how far back', minimum: 1, maximum: 14, default: 7 },
    minimumHours: {
      type: 'integer',
      value: 'N',
      summary: 'for which an instance must have been seen',
      minimum: 1,
      maximum: 336,
      default: 24,
    },
  },
  examples: [
    { command: 'virga hosts report', explains: 'what right-sizing would free' },
    { command: 'virga hosts report --output json', explains: 'with all figures' },
  ],
  async run(context, { options }) {
    const client = await context.client();
    const toMs = context.nowMs();
    const report = await client.getUsageReport({
      query: {
        from: new Date(toMs - options.days * dayMs).toISOString(),
        to: new Date(toMs).toISOString(),
        minimumHours: options.minimumHours,
      },
    });
    const lines = context.print.format === 'table' ? await reportLines(report, context.print.terminal) : [];
    const ids = report.instances.filter(({ verdict }) => verdict !== 'unknown').map(({ id }) => id);
    await context.print.result(report, lines, ids);
    return 0;
  },
});

async function reportLines(report: UsageReport, terminal: Terminal): Promise<string[]> {
  const { renderTable } = await import('../../output/table.ts');
  const found = report.instances.filter(({ verdict }) => verdict !== 'unknown');
  const hosts = renderTable(report.hosts, hostColumns, terminal);
  const instances = found.length > 0 ? ['', renderTable(found, instanceColumns, terminal)] : [];
  return [...overview(report), '', hosts, ...instances, '', ...consequences(report)];
}

function overview({ from, to, cloud }: UsageReport): string[] {
  const { hosts, instances, instancesPerHost, vcpus, threads, vcpusPerThread } = cloud;
  const resident =
    cloud.memoryResidentMib === null
      ? ''
      : `, ${formatMib(cloud.memoryResidentMib)} of it held (${cloud.memoryPromisedPerResident} : 1)`;
  return [
    `Seen: ${from.slice(0, 16).replace('T', ' ')} to ${to.slice(0, 16).replace('T', ' ')} UTC`,
    `Instances: ${instances} on ${counted(hosts, 'host')}, ${instancesPerHost} each`,
    `Processors: ${counted(vcpus, 'vCPU')} on ${counted(threads, 'thread')}, ${vcpusPerThread} each; busy ${percent(cloud.cpuAveragePercent)}`,
    `Memory: ${formatMib(cloud.memoryPromisedMib)} of ${formatMib(cloud.memoryMib)} promised${resident}`,
  ];
}

function consequences({ counts, frees, packing, minimumHours }: UsageReport): string[] {
  const freed = ({ vcpus, memoryMib }: UsageReport['frees']['idle']) => `${vcpus} vCPUs and ${formatMib(memoryMib)}`;
  const { hostsInUse, hostsNeeded, hostsNeededAfterRightSizing } = packing;
  return [
    counts.idle > 0 && `Off, the ${counts.idle} idle would free ${freed(frees.idle)}.`,
    counts.oversized > 0 && `Right-sized, the ${counts.oversized} oversized would free ${freed(frees.oversized)}.`,
    counts.unknown > 0 && `Of ${counts.unknown} not enough has been seen yet: ${minimumHours} h are needed.`,
    counts.fitting > 0 && `${counts.fitting} have the size that they need.`,
    `Of ${counted(hostsInUse, 'host')} in use ${hostsNeeded} would do, packed; ${hostsNeededAfterRightSizing} with the right sizes and without the idle.`,
    `  ${packing.reason}`,
  ].filter((line) => line !== false);
}

const hostColumns: Column<HostConsolidation>[] = [
  { header: 'HOST', value: ({ name }) => name, essential: true },
  { header: 'INSTANCES', value: ({ instances }) => String(instances), whole: true },
  { header: 'VCPU/THREAD', value: (host) => `${host.vcpus}/${host.threads} = ${host.vcpusPerThread}`, whole: true },
  { header: 'BUSY', value: (host) => percent(host.cpuAveragePercent), whole: true },
  { header: '95 %', value: (host) => percent(host.cpuP95Percent), whole: true },
  {
    header: 'PROMISED',
    value: (host) => `${formatMib(host.memoryPromisedMib)} of ${formatMib(host.memoryMib)}`,
    whole: true,
  },
  {
    header: 'HELD',
    value: ({ memoryResidentMib }) => (memoryResidentMib === null ? '-' : formatMib(memoryResidentMib)),
    whole: true,
  },
  { header: 'MEMORY USED', value: (host) => percent(host.memoryUsedPercent), whole: true },
];

/** Either nothing of both grows, or nothing shrinks. */
function freesText({ vcpus, memoryMib }: InstanceVerdict['frees']): string {
  if (vcpus === 0 && memoryMib === 0) return '-';
  const text = `${Math.abs(vcpus)} vCPU, ${formatMib(Math.abs(memoryMib))}`;
  return vcpus < 0 || memoryMib < 0 ? `needs ${text}` : text;
}

const instanceColumns: Column<InstanceVerdict>[] = [
  { header: 'INSTANCE', value: ({ name }) => name, essential: true },
  { header: 'IS', value: ({ verdict }) => verdict, essential: true },
  { header: 'TYPE', value: ({ type }) => type, whole: true },
  { header: 'BETTER', value: (it) => it.recommendedType ?? (it.verdict === 'idle' ? 'off' : '-'), whole: true },
  { header: 'CPU 95 %', value: (it) => percent(it.cpuP95Percent), whole: true },
  {
    header: 'MEMORY 95 %',
    value: ({ memoryP95Mib, memoryMib }) =>
      memoryP95Mib === null ? '-' : `${formatMib(memoryP95Mib)} of ${formatMib(memoryMib)}`,
    whole: true,
  },
  {
    header: 'FREES',
    value: ({ frees }) => freesText(frees),
    whole: true,
  },
  { header: 'SEEN', value: ({ seenHours }) => `${seenHours} h`, whole: true },
  { header: 'WHY', value: ({ reason }) => reason },
];
