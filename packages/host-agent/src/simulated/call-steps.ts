// How a call to a simulated host goes: the way there, steps with a name, what each takes, and what makes it fail. Owns
// reachability, speed and failures, not what the steps do.

import type { CallContext } from '@virga/contract/agent/agent';
import { VirgaError } from '@virga/contract/errors';
import type { Logger } from 'pino';
import type { Clock } from '../clock.ts';
import type { StepHook } from '../step-hook.ts';
import { UndoStack } from '../undo-stack.ts';
import type { FaultInjection } from './fault-injection.ts';
import type { SimulatedTimings } from './simulated-timings.ts';

export type CallOptions = {
  hostName: string;
  clock: Clock;
  log: Logger;
  timings: SimulatedTimings;
  faults: FaultInjection;
  hook: StepHook | undefined;
};

export class Calls {
  readonly timings: SimulatedTimings;
  isReachable = true;
  isClosed = false;
  /** What everything takes, over its ordinary time. */
  slowness = 1;
  private readonly options: CallOptions;

  constructor(options: CallOptions) {
    this.options = options;
    this.timings = options.timings;
  }

  now(): number {
    return this.options.clock.now();
  }

  /** Does the work of one call. What it registered to undo is undone when it fails for good. */
  async run<T>(
    method: string,
    resourceId: string,
    context: CallContext | undefined,
    work: (steps: CallSteps) => T | Promise<T>,
  ): Promise<T> {
    await this.pass(method, resourceId, this.timings.callMs, context?.signal);
    const undo = new UndoStack();
    try {
      return await work(new CallSteps(this, resourceId, context, undo));
    } catch (error) {
      // What was interrupted is gone on with by the next call.
      const isWaiting =
        error instanceof VirgaError && (error.code === 'HostUnavailable' || error.code === 'GuestUnavailable');
      const goesOn = context?.signal?.aborted || isWaiting;
      if (!goesOn) await undo.unwind(this.options.log);
      throw error;
    }
  }

  async step(name: string, resourceId: string, takesMs: number, signal: AbortSignal | undefined): Promise<void> {
    await this.options.hook?.(name, resourceId);
    await this.pass(name, resourceId, takesMs, signal);
  }

  /** @throws HostUnavailable */
  refuseIfUnreachable(): void {
    if (this.isClosed) throw new Error('the agent was closed');
    if (!this.isReachable) throw unreachable(this.options.hostName);
  }

  private async pass(at: string, resourceId: string, takesMs: number, signal: AbortSignal | undefined): Promise<void> {
    signal?.throwIfAborted();
    this.refuseIfUnreachable();
    this.options.faults.check(at, resourceId);
    const ms = takesMs * this.slowness;
    if (ms > 0) await this.options.clock.delay(ms, signal);
    this.refuseIfUnreachable();
  }
}

/** The steps of one call. */
export class CallSteps {
  readonly timings: SimulatedTimings;
  readonly undo: UndoStack;
  private readonly calls: Calls;
  private readonly resourceId: string;
  private readonly context: CallContext | undefined;

  constructor(calls: Calls, resourceId: string, context: CallContext | undefined, undo: UndoStack) {
    this.calls = calls;
    this.timings = calls.timings;
    this.resourceId = resourceId;
    this.context = context;
    this.undo = undo;
  }

  /** Takes the time, then acts at once and whole. */
  async take(name: string, percent: number, takesMs: number, act: () => void): Promise<void> {
    this.context?.onProgress?.(name, percent);
    await this.calls.step(name, this.resourceId, takesMs, this.context?.signal);
    act();
  }
}

export function unreachable(hostName: string): VirgaError {
  return new VirgaError('HostUnavailable', {
    detail: `The simulated host ${hostName} cannot be reached.`,
    action: 'Nothing, if it comes back; it is tried again.',
  });
}
