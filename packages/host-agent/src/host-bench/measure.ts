// Runs a comparison that is ready, round by round. Owns progress and the order; keeps nothing. Ends at once with the signal.

import type { CallContext } from '@virga/contract/agent/call-context';
import type { MeasuredMetric } from '@virga/contract/agent/host-bench';
import { orderOf } from './alternation.ts';
import type { Prepared } from './comparison.ts';

/** Of a comparison, what is done before it is measured, in percent. */
export const preparationPercent = 10;

/** @throws RangeError a figure is none */
export async function measureInRounds(
  { settings, metrics, measure }: Prepared,
  pairs: number,
  title: string,
  { onProgress, signal }: CallContext,
): Promise<MeasuredMetric[]> {
  const measured: MeasuredMetric[] = metrics.map((metric) => ({
    ...metric,
    settings: settings.map((name) => ({ name, samples: [] })),
  }));
  const total = pairs * settings.length;
  let done = 0;
  for (let round = 0; round < pairs; round++) {
    for (const setting of orderOf(settings, round)) {
      signal?.throwIfAborted();
      const percent = preparationPercent + ((100 - preparationPercent) * done) / total;
      onProgress?.(`${title}: ${setting}, round ${round + 1} of ${pairs}`, percent);
      const figures = await measure(setting);
      for (const [index, { settings: all }] of measured.entries()) {
        all.find(({ name }) => name === setting)!.samples.push(checked(figures[index], metrics[index]!.name));
      }
      done++;
    }
  }
  return measured;
}

/** A figure that is none would look like one that was measured. */
function checked(figure: number | undefined, name: string): number {
  if (figure !== undefined && Number.isFinite(figure) && figure >= 0) return figure;
  throw new RangeError(`${name} was measured as ${figure}`);
}
