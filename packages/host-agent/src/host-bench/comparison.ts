// What a comparison is: settings, the figures that each is measured by, and how one is measured once. Pure types.
import type { MeasuredMetric } from '@virga/contract/agent/host-bench';

export type Metric = Pick<MeasuredMetric, 'name' | 'unit' | 'better'>;

/** A comparison that is ready: what it needs runs. */
export type Prepared = {
  /** The first is what the others are compared with. */
  settings: readonly string[];
  metrics: readonly Metric[];
  /** The device of the host that it is about. */
  device?: string;
  conditions: readonly string[];
  /** Measures a setting once. @returns a figure of each metric, in their order */
  measure(setting: string): Promise<number[]>;
};

/** This host cannot show it: `because` completes “not possible here, because …”. */
export class NotPossible extends Error {
  readonly because: string;

  constructor(because: string) {
    super(`not possible here, because ${because}`);
    this.because = because;
  }
}
