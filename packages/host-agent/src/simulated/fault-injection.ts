// Failures that a test asks a simulated host for: the next calls or steps of a name, for one resource or for any.
import { type ErrorCode, VirgaError } from '@virga/contract/errors';

export type Fault = {
  /** A method of the agent, such as `applyInstance`, or a step, such as `start`. */
  at: string;
  /** What to fail with: a code of the registry, or the error itself, which may be none of the registry's. */
  error: ErrorCode | Error;
  /** How often; default 1. */
  times?: number;
  /** Only for this instance, network or image. */
  resourceId?: string;
};

export class FaultInjection {
  private readonly faults: (Fault & { times: number })[] = [];

  constructor(faults: readonly Fault[] = []) {
    for (const fault of faults) this.add(fault);
  }

  add(fault: Fault): void {
    this.faults.push({ ...fault, times: fault.times ?? 1 });
  }

  clear(): void {
    this.faults.length = 0;
  }

  /** Throws the first failure that was asked for here, and counts it. */
  check(at: string, resourceId: string): void {
    const index = this.faults.findIndex(
      (fault) => fault.at === at && (fault.resourceId === undefined || fault.resourceId === resourceId),
    );
    const fault = this.faults[index];
    if (fault === undefined) return;
    fault.times--;
    if (fault.times <= 0) this.faults.splice(index, 1);
    throw errorOf(fault, at);
  }
}

function errorOf({ error }: Fault, at: string): Error {
  if (error instanceof Error) return error;
  return new VirgaError(error, {
    detail: `The simulated host was told to fail at ${at}.`,
    action: 'Nothing: a test wanted this.',
  });
}
