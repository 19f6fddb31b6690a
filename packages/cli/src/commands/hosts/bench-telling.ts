// What is done with a benchmark once it is there: told, drawn, and kept to.
import { writeFile } from 'node:fs/promises';
import type { Client } from '@virga/contract/client';
import type { HostBenchmark } from '@virga/contract/rest/host-bench';
import type { CommandContext } from '../../context.ts';
import { makeChanges } from '../../operations/make-changes.ts';
import { reportChanges } from '../../operations/report-changes.ts';
import { knobName, mergedOverrides, readOverrides } from './tuning-knobs.ts';
import { stateText } from './tuning-view.ts';

export const reportOptions = {
  keepBest: { type: 'flag', summary: 'set on the host what was measurably better than what it has' },
  svg: { type: 'text', value: 'FILE', summary: 'draw the plot into this file too', complete: 'file' },
} as const;

/** @returns the exit code */
export async function tellBenchmark(
  context: CommandContext,
  client: Client,
  benchmark: HostBenchmark,
  { keepBest, svg }: { keepBest: boolean; svg: string | undefined },
): Promise<number> {
  const { benchReport } = await import('../../host-bench/bench-report.ts');
  await context.print.result(benchmark, benchReport(benchmark, context.print.terminal), [benchmark.id]);
  if (svg !== undefined) {
    const { benchSvg } = await import('../../host-bench/bench-svg.ts');
    await writeFile(svg, benchSvg(benchmark));
    context.print.note(`The plot is in ${svg}.`);
  }
  return keepBest ? keepWinners(context, client, benchmark) : 0;
}

/** Goes on top of what the host was told before, and nothing of that is lost. */
async function keepWinners(context: CommandContext, client: Client, benchmark: HostBenchmark): Promise<number> {
  const winners = benchmark.recommendations.flatMap(({ override }) =>
    override === null ? [] : [`${knobName(override.knob)}=${override.value}`],
  );
  if (winners.length === 0) {
    context.print.note('No setting of the host was measurably better than what it has: nothing is changed.');
    return 0;
  }
  const params = { id: benchmark.hostId };
  const { desired } = (await client.getHostTuning({ params })).tuning;
  const body = {
    profile: desired?.profile ?? ('custom' as const),
    overrides: mergedOverrides(desired?.overrides ?? {}, readOverrides(winners)),
  };
  const change = {
    name: benchmark.hostName,
    request: async () => {
      const { operationId, tuning } = await client.tuneHost({ params, body });
      return { operationId, resource: tuning };
    },
    afterwards: async () => (await client.getHostTuning({ params })).tuning,
    done: stateText,
  };
  context.print.note(`Keeping ${winners.join(', ')}.`);
  const outcomes = await makeChanges(context, [change], true);
  // As data the benchmark is the one document.
  if (context.print.format !== 'table' && outcomes.every(({ error }) => error === undefined)) return 0;
  const words = { noun: 'tuning', requested: 'requested', done: stateText };
  return reportChanges(context, outcomes, words, { waited: true, many: false });
}
