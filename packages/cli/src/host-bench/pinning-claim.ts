// A claim that is widespread, and the figure of this host beside it. What was not measured is not told.
import type { JudgedComparison } from '@virga/contract/rest/host-bench';
import { gain, gainRange } from './figures.ts';

export const claim = 'It is often said that pinning gains more than 20 %.';

export function besideTheClaim({ name, metrics }: JudgedComparison): string | undefined {
  const settings = metrics[0]?.settings.filter(({ ratio }) => ratio !== null) ?? [];
  if (name !== 'pinning' || settings.length === 0) return undefined;
  const seen = settings.map(
    ({ name: setting, ratio, verdict }) => `${setting} ${gain(ratio!.median)} (${gainRange(ratio!)}; ${verdict})`,
  );
  return `${claim} Measured on this host, under contention: ${seen.join(', ')}.`;
}
