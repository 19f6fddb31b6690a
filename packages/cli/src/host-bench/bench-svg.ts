// The plot of a benchmark as a picture: a row for each setting, its ratio with the bounds of it, and the line of “the same”.
// The same benchmark gives the same bytes. Readable on light and on dark; needs nothing from elsewhere.
import type { HostBenchmark, JudgedMetric } from '@virga/contract/rest/host-bench';
import { emulationWarning } from './bench-report.ts';
import { figure, gain, gainRange } from './figures.ts';
import { besideTheClaim } from './pinning-claim.ts';
import { positionOf, scaleOf } from './ratio-plot.ts';

const width = 1060;
const rowHeight = 22;
const plotLeft = 300;
const plotWidth = 360;
const textLeft = 20;
const wordsLeft = plotLeft + plotWidth + 20;

/** Of middle brightness, so that both grounds set them off; told apart without colour by the words beside them. */
const colours = {
  better: '#2e9e5b',
  worse: '#d9534f',
  'no measurable difference': '#7f8c9b',
  'too few pairs': '#c98a1b',
  baseline: '#7f8c9b',
};

const style = `text{font:13px system-ui,sans-serif;fill:#24292f}.head{font-weight:700;font-size:15px}.minor{fill:#57606a;font-size:12px}.warning{fill:#d9534f;font-weight:700}.axis{stroke:#8b949e}@media(prefers-color-scheme:dark){text{fill:#e6edf3}.minor{fill:#9da7b3}.warning{fill:#ff7b72}}`;

export function benchSvg(benchmark: HostBenchmark): string {
  const parts: string[] = [];
  let y = 30;
  const text = (content: string, x: number, kind = '') => {
    parts.push(`<text x="${x}" y="${y}"${kind && ` class="${kind}"`}>${escaped(content)}</text>`);
  };
  const line = (content: string, kind = '') => {
    text(content, textLeft, kind);
    y += rowHeight;
  };
  const { conditions, setup } = benchmark;
  line(`Benchmark of ${benchmark.hostName}, ${benchmark.createdAt}`, 'head');
  line(
    `${conditions.cpuThreads ?? '?'} threads of ${conditions.cpuModel ?? 'an unknown processor'}; ${setup.pairs} rounds in alternating order, ${setup.seconds} s each`,
    'minor',
  );
  if (conditions.acceleration === 'tcg') line(emulationWarning, 'warning');
  for (const comparison of benchmark.comparisons) {
    y += rowHeight / 2;
    line(comparison.title, 'head');
    if (comparison.notPossible !== null) line(comparison.notPossible, 'minor');
    for (const metric of comparison.metrics) {
      line(`${metric.name}, ${metric.unit}; ${metric.better} is better`, 'minor');
      const { drawn, nextY } = rows(metric, y);
      parts.push(...drawn);
      y = nextY;
    }
    for (const beside of besideTheClaim(comparison)) line(beside.trim(), 'minor');
  }
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${y}" viewBox="0 0 ${width} ${y}" role="img">`,
    `<title>${escaped(`Benchmark of ${benchmark.hostName}`)}</title>`,
    `<style>${style}</style>`,
    ...parts,
    '</svg>',
    '',
  ].join('\n');
}

function rows(metric: JudgedMetric, top: number): { drawn: string[]; nextY: number } {
  const scale = scaleOf(metric);
  const height = metric.settings.length * rowHeight;
  const at = (ratio: number) => round(plotLeft + positionOf(ratio, scale!) * plotWidth);
  const drawn = metric.settings.flatMap(({ name, spread, ratio, verdict }, index) => {
    const y = top + index * rowHeight;
    const middle = y - 4;
    const colour = colours[verdict];
    const words = ratio === null ? verdict : `${gain(ratio.median)} (${gainRange(ratio)}) ${verdict}`;
    return [
      `<text x="${textLeft}" y="${y}">${escaped(`${name}: ${figure(spread.median)}`)}</text>`,
      ...(ratio === null || scale === undefined || ratio.low <= 0
        ? []
        : [
            `<path d="M${at(ratio.low)} ${middle}H${at(ratio.high)}M${at(ratio.low)} ${middle - 4}v8M${at(ratio.high)} ${middle - 4}v8" stroke="${colour}" stroke-width="2" fill="none"/>`,
            `<circle cx="${at(ratio.median)}" cy="${middle}" r="4" fill="${colour}"/>`,
          ]),
      `<text x="${wordsLeft}" y="${y}" class="minor">${escaped(words)}</text>`,
    ];
  });
  const axis =
    scale === undefined
      ? []
      : [
          `<path d="M${at(1)} ${top - rowHeight + 6}V${top + height - rowHeight + 4}" class="axis" stroke-dasharray="3 3"/>`,
        ];
  return { drawn: [...axis, ...drawn], nextY: top + height };
}

const round = (value: number): number => Math.round(value * 10) / 10;

const escaped = (text: string): string => text.replace(/[&<>"]/g, (sign) => `&#${sign.charCodeAt(0)};`);
