import type { HostMemoryReport } from '@virga/contract/rest/host-memory';
import { defineCommand } from '../../command.ts';
import { eachBounded } from '../../each-bounded.ts';
import { listAll } from '../../list-all.ts';
import { findHost } from '../../lookup.ts';
import { formatBytes, formatMib } from '../../output/format.ts';
import type { Column } from '../../output/table.ts';

const atOnce = 8;

export const showMemory = defineCommand({
  meta: {
    path: 'hosts memory',
    summary: 'Show where the memory of hosts is, and what sharing saves',
    details:
      'PROMISED is what the guests that are on were promised, RESIDENT what they really take, shared or not. SHARED is saved by ' +
      'copies that have memory in common with their template, MERGED by equal pages that the kernel has merged (KSM); LENT is ' +
      'what guests do without for a while because their host is short of memory. A dash is what a host does not tell.',
    section: 'Resources',
  },
  args: { host: { summary: 'name or id; default every host', optional: true, complete: 'host' } },
  options: {
    by: {
      type: 'text',
      value: 'WHAT',
      choices: ['host', 'project', 'instance'],
      default: 'host',
      summary: 'a line for each host, project or instance',
    },
  },
  examples: [
    { command: 'virga hosts memory', explains: 'what is left, and what is saved' },
    { command: 'virga hosts memory --by instance', explains: 'who has it' },
    { command: 'virga hosts memory alpha -o json', explains: 'all figures, in KiB' },
  ],
  async run(context, { args, options }) {
    const client = await context.client();
    const hosts =
      args.host === undefined
        ? await listAll((query) => client.listHosts({ query }))
        : [await findHost(client, args.host)];
    const reports = await eachBounded(hosts, atOnce, ({ id }) => client.getHostMemory({ params: { id } }));
    const none = 'There is no host.';
    if (options.by === 'host') {
      await context.print.list(reports, hostColumns, (item) => item.hostId, none);
      return 0;
    }
    if (options.by === 'project') {
      const items = reports.flatMap(({ hostName, projects }) => projects.map((item) => ({ hostName, ...item })));
      await context.print.list(items, projectColumns, (item) => item.projectId, 'No guest is on.');
      return 0;
    }
    const items = reports.flatMap(({ hostName, instances }) => instances.map((item) => ({ hostName, ...item })));
    await context.print.list(items, instanceColumns, (item) => item.id, 'No guest is on.');
    return 0;
  },
});

const size = (kib: number | null): string => (kib === null ? '-' : formatBytes(kib * 1024));

type Sums = Pick<
  HostMemoryReport,
  'promisedKib' | 'currentKib' | 'residentKib' | 'hugePagesKib' | 'templateSavedKib' | 'mergeSavedKib'
>;

/** What a guest has beyond what it was promised is not lent by anybody. */
const lent = ({ promisedKib, currentKib }: Sums): string => size(Math.max(0, promisedKib - currentKib));

function sumColumns<T extends Sums>(): Column<T>[] {
  return [
    { header: 'PROMISED', value: (item) => size(item.promisedKib), whole: true },
    { header: 'RESIDENT', value: (item) => size(item.residentKib), whole: true },
    { header: 'HUGE PAGES', value: (item) => size(item.hugePagesKib), whole: true },
    { header: 'SHARED', value: (item) => size(item.templateSavedKib), whole: true },
    { header: 'MERGED', value: (item) => size(item.mergeSavedKib), whole: true },
    { header: 'LENT', value: lent, whole: true },
  ];
}

const hostColumns: Column<HostMemoryReport>[] = [
  { header: 'HOST', value: (item) => item.hostName, essential: true },
  { header: 'MEMORY', value: (item) => size(item.totalKib), whole: true },
  { header: 'AVAILABLE', value: (item) => size(item.availableKib), whole: true },
  { header: 'FLOOR', value: (item) => formatMib(item.floorMib), whole: true },
  { header: 'GUESTS', value: (item) => String(item.guests), whole: true },
  ...sumColumns<HostMemoryReport>(),
  { header: 'KSM', value: ksm, whole: true },
  { header: 'MERGES', value: merges },
];

function ksm({ ksm: state }: HostMemoryReport): string {
  if (state === null) return '-';
  return state.running ? `${state.pagesToScan} pages` : 'off';
}

function merges({ ksmScope, mergingProject }: HostMemoryReport): string {
  if (ksmScope === 'project') return mergingProject === null ? 'one project' : `project ${mergingProject.name}`;
  return ksmScope === 'host' ? 'all projects' : 'nobody';
}

type ProjectRow = HostMemoryReport['projects'][number] & { hostName: string };
const projectColumns: Column<ProjectRow>[] = [
  { header: 'PROJECT', value: (item) => item.projectName, essential: true },
  { header: 'HOST', value: (item) => item.hostName, essential: true },
  { header: 'GUESTS', value: (item) => String(item.guests), whole: true },
  ...sumColumns<ProjectRow>(),
];

type InstanceRow = HostMemoryReport['instances'][number] & { hostName: string };
const instanceColumns: Column<InstanceRow>[] = [
  { header: 'NAME', value: (item) => item.name, essential: true },
  { header: 'PROJECT', value: (item) => item.projectName },
  { header: 'HOST', value: (item) => item.hostName },
  ...sumColumns<InstanceRow>(),
  { header: 'USABLE', value: (item) => size(item.usableKib), whole: true },
  { header: 'MERGES', value: (item) => (item.mergeable ? 'yes' : 'no'), whole: true },
];
