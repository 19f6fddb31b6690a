// A claim that is widespread, and the figure of this host beside it. What was not measured is not told.
import type { JudgedComparison } from '@virga/contract/rest/host-bench';
import { gain, gainRange } from './figures.ts';

export const claim = 'It is often said that pinning gains more than 20 %.';

/** Lines; none where there is nothing to set beside it. */
export function besideTheClaim({ name, metrics }: JudgedComparison): string[] {
  const settings = metrics[0]?.settings.filter(({ ratio }) => ratio !== null) ?? [];
  if (name !== 'pinning' || settings.length === 0) return [];
  return [
    `${claim} Measured on this host, under contention:`,
    ...settings.map(
      ({ name: setting, ratio, verdict }) => `  ${setting}: ${gain(ratio!.median)} (${gainRange(ratio!)}), ${verdict}`,
    ),
  ];
}
