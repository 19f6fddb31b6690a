// The report of a benchmark for people: on what it was measured, each figure as a table with a plot, what could not be measured
// and why, and what follows.
import type { HostBenchmark, JudgedComparison, JudgedMetric } from '@virga/contract/rest/host-bench';
import { formatMib } from '../output/format.ts';
import { type Column, renderTable } from '../output/table.ts';
import type { Style, Terminal } from '../output/terminal.ts';
import { figure, gain, gainRange, middleHalf } from './figures.ts';
import { besideTheClaim } from './pinning-claim.ts';
import { plotLine, type Scale, scaleOf } from './ratio-plot.ts';

type Setting = JudgedMetric['settings'][number];

const plotWidth = 31;
const styles: Record<Setting['verdict'], Style | undefined> = {
  baseline: 'dim',
  better: 'green',
  worse: 'red',
  'no measurable difference': undefined,
  'too few pairs': 'yellow',
};

export function benchReport(benchmark: HostBenchmark, terminal: Terminal): string[] {
  const { comparisons, recommendations } = benchmark;
  const measured = comparisons.filter(({ notPossible }) => notPossible === null);
  const others = comparisons.filter(({ notPossible }) => notPossible !== null);
  return [
    ...headLines(benchmark, terminal),
    ...measured.flatMap((comparison) => ['', ...comparisonLines(comparison, terminal)]),
    ...(others.length > 0 ? ['', terminal.paint('bold', 'not measured')] : []),
    ...others.map(({ title, notPossible }) => `  ${title}: ${notPossible}`),
    ...(measured.length > 0 ? ['', terminal.paint('bold', 'what follows')] : []),
    ...recommendations.map(({ sentence, comparison }) => `  ${sentence} (${comparison})`),
    ...(measured.length > 0 && recommendations.length === 0
      ? ['  Nothing: no setting was measurably better than what the host has.']
      : []),
  ];
}

export const emulationWarning =
  'GUESTS ARE EMULATED (TCG), NOT VIRTUALIZED: no figure says what this host does with KVM, nor how KVM would compare.';

export function headLines(benchmark: HostBenchmark, terminal: Terminal): string[] {
  const { hostName, state, stateReason, setup, conditions, createdAt } = benchmark;
  const { acceleration, cpuModel, cpuThreads, memoryMib, kernelVersion, hypervisorVersion } = conditions;
  const host = [
    cpuThreads !== null && `${cpuThreads} threads of ${cpuModel}`,
    memoryMib !== null && formatMib(memoryMib),
    kernelVersion !== null && `Linux ${kernelVersion}`,
    hypervisorVersion !== null && `QEMU ${hypervisorVersion}`,
    acceleration,
  ].filter(Boolean);
  return [
    `${terminal.paint('bold', `Benchmark of ${hostName}`)}, ${createdAt}: ${state}${stateReason === null ? '' : `. ${stateReason}`}`,
    host.join(', '),
    `${setup.pairs} rounds, settings in alternating order, ${setup.seconds} s each. Ratios are of figures of one round.`,
    ...(setup.force ? ['Other guests were allowed to run meanwhile.'] : []),
    ...(acceleration === 'tcg' ? [terminal.paint(['bold', 'red'], emulationWarning)] : []),
  ];
}

function comparisonLines(comparison: JudgedComparison, terminal: Terminal): string[] {
  const { title, conditions, metrics, tookSeconds } = comparison;
  const beside = besideTheClaim(comparison);
  return [
    `${terminal.paint('bold', title)} (${tookSeconds} s)`,
    ...conditions.map((condition) => terminal.paint('dim', `  ${condition}`)),
    ...metrics.flatMap((metric) => metricLines(metric, terminal)),
    ...(beside.length === 0 ? [] : ['', ...beside.map((line) => `  ${line}`)]),
  ];
}

/** From here on the plot stands beside the figures, else below them. */
const wideEnough = 140;
const indent = '  ';

function metricLines(metric: JudgedMetric, terminal: Terminal): string[] {
  const inner = { ...terminal, width: terminal.width - indent.length };
  const scale = scaleOf(metric);
  const plot = scale === undefined ? [] : [plotColumn(scale, terminal)];
  const tables = terminal.width >= wideEnough ? [[...figureColumns, ...plot]] : [figureColumns, [setting, ...plot]];
  return [
    '',
    `${indent}${metric.name}, ${metric.unit}; ${metric.better} is better`,
    ...tables
      .filter((columns) => columns.length > 1)
      .flatMap((columns) => renderTable(metric.settings, columns, inner).split('\n'))
      .map((line) => `${indent}${line}`),
  ];
}

const setting: Column<Setting> = { header: 'SETTING', value: ({ name }) => name, essential: true };

const figureColumns: Column<Setting>[] = [
  setting,
  { header: 'MEDIAN', value: ({ spread }) => figure(spread.median), essential: true },
  { header: 'AGAINST FIRST', value: ({ ratio }) => (ratio === null ? '-' : gain(ratio.median)), essential: true },
  {
    header: 'VERDICT',
    value: ({ verdict }) => verdict,
    essential: true,
    style: ({ verdict }) => styles[verdict],
  },
  { header: 'BETWEEN', value: ({ ratio }) => (ratio === null ? '-' : gainRange(ratio)), whole: true },
  { header: 'MIDDLE HALF', value: ({ spread }) => middleHalf(spread), whole: true },
];

const plotColumn = (scale: Scale, { unicode }: Terminal): Column<Setting> => ({
  header: axisOf(scale),
  value: ({ ratio }) => plotLine(ratio, scale, plotWidth, unicode),
  whole: true,
});

/** The ends of the plot. */
function axisOf({ low, high }: Scale): string {
  const [left, right] = [`${figure(low)} x`, `${figure(high)} x`];
  return `${left}${' '.repeat(Math.max(1, plotWidth - left.length - right.length))}${right}`;
}
