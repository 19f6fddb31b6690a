// What a file of this folder is.
import type { Prepared } from '../../../host-bench/comparison.ts';
import type { BenchWorld } from '../bench-world.ts';

export type Comparison = {
  /** For people, such as `CPU pinning under contention`. */
  title: string;
  /** @throws NotPossible this host cannot show it */
  prepare(world: BenchWorld): Promise<Prepared>;
};
