// The CPUs of a host and the threads of its guests, drawn for people. Threads of QEMU itself are many and alike, so those of
// one guest that may run at the same places are one line.
import { formatCpuList } from '@virga/contract/agent/cpu-list';
import type { HostCpuReport, HostCpuUse } from '@virga/contract/rest/host-cpus';
import { type Column, renderTable } from '../../output/table.ts';
import type { Terminal } from '../../output/terminal.ts';

type Line = {
  guest: string;
  thread: string;
  tid: string;
  allowed: number[];
  last: number[];
  busyPercent: number;
};

export function cpuReportLines(report: HostCpuReport, terminal: Terminal): string[] {
  const lines = report.guests.flatMap(linesOf);
  const several = new Set(report.cpus.map(({ node }) => node)).size > 1;
  const cpus = renderTable(report.cpus, cpuColumns(lines, several), terminal);
  const threads = lines.length === 0 ? 'No guest runs there.' : renderTable(lines, threadColumns, terminal);
  const head = `${report.hostName}: ${report.cpus.length} CPUs, looked at for ${report.sampleMs} ms`;
  const pending = report.converged ? [] : ['The host has yet to be told how they are divided now.'];
  return [head, ...pending, '', ...cpus.trimEnd().split('\n'), '', ...threads.trimEnd().split('\n')];
}

function cpuColumns(lines: readonly Line[], several: boolean): Column<HostCpuUse>[] {
  const columns: Column<HostCpuUse>[] = [
    { header: 'CPU', value: ({ id }) => String(id), essential: true },
    { header: 'NODE', value: ({ node }) => String(node), whole: true },
    { header: 'SOCKET', value: ({ socket }) => String(socket), whole: true },
    { header: 'CORE', value: ({ core }) => String(core), whole: true },
    { header: 'FOR', value: whoFor, essential: true, style: ({ pool }) => (pool === 'dedicated' ? 'cyan' : undefined) },
    { header: 'BUSY', value: ({ busyPercent }) => percent(busyPercent), whole: true },
    { header: 'THREADS', value: (cpu) => threadsAt(lines, cpu) },
  ];
  return several ? columns : columns.filter(({ header }) => header !== 'NODE');
}

function whoFor({ pool, owner, vcpu }: HostCpuUse): string {
  if (pool !== 'dedicated') return pool === 'reserved' ? 'the host' : pool;
  const name = owner?.name ?? 'an instance';
  return vcpu === null ? `${name} (idle)` : `${name}:${vcpu}`;
}

function threadsAt(lines: readonly Line[], { id }: HostCpuUse): string {
  return lines
    .filter(({ allowed }) => allowed.includes(id))
    .map(({ guest, thread, last }) => `${guest}:${thread}${last.includes(id) ? '*' : ''}`)
    .join(' ');
}

const threadColumns: Column<Line>[] = [
  { header: 'GUEST', value: ({ guest }) => guest, essential: true },
  { header: 'THREAD', value: ({ thread }) => thread, essential: true },
  { header: 'TID', value: ({ tid }) => tid, whole: true },
  { header: 'MAY RUN ON', value: ({ allowed }) => formatCpuList(allowed), whole: true },
  { header: 'LAST ON', value: ({ last }) => formatCpuList(last), whole: true },
  { header: 'BUSY', value: ({ busyPercent }) => percent(busyPercent), whole: true },
];

function linesOf({ name: guest, threads }: HostCpuReport['guests'][number]): Line[] {
  const lines = new Map<string, Line>();
  for (const { tid, kind, index, allowedCpus, lastCpu, busyPercent } of threads) {
    const thread = kind === 'vcpu' ? `${index}` : kind === 'iothread' ? `io${index}` : 'qemu';
    const key = `${thread} ${allowedCpus.join()}`;
    const line = lines.get(key);
    if (line === undefined) {
      lines.set(key, { guest, thread, tid: String(tid), allowed: allowedCpus, last: [lastCpu], busyPercent });
    } else {
      const count = Number(/\+(\d+)$/.exec(line.tid)?.[1] ?? 0) + 1;
      line.tid = `${line.tid.replace(/ \+\d+$/, '')} +${count}`;
      line.last = [...new Set([...line.last, lastCpu])];
      line.busyPercent += busyPercent;
    }
  }
  return [...lines.values()];
}

const percent = (value: number): string => `${Math.round(value)} %`;
