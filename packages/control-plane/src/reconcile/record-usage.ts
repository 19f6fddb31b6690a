// When it is written down what hosts use: each host every period, one after the other so that many hosts are no burst; and,
// for all, when the history is rolled up and what is old is removed.
import { setTimeout as sleep } from 'node:timers/promises';
import { systemAccess } from '../access/system-access.ts';
import type { RegisteredHost } from '../agents/agent-registry.ts';
import type { Deps } from '../deps.ts';
import { keepHistory, UsageRecorder } from '../modules/usage/usage-recorder.ts';

const keepPeriodMs = 5 * 60_000;

/** @returns what ends once the signal aborts */
export function recordUsage(
  deps: Deps,
  isReachable: (host: RegisteredHost) => boolean,
  signal: AbortSignal,
): Promise<void>[] {
  const access = systemAccess('usage');
  const { usagePeriodMs } = deps.settings;
  const again = async (work: () => Promise<void>, periodMs: number, firstMs: number, message: string) => {
    for (let pauseMs = firstMs; ; pauseMs = periodMs) {
      await sleep(pauseMs, undefined, { signal }).catch(() => {});
      if (signal.aborted) return;
      await work().catch((error) => signal.aborted || deps.log.warn({ err: error }, message));
    }
  };
  const hosts = usagePeriodMs > 0 ? deps.agents.all() : [];
  const recorders = hosts.map((host, index) => {
    const recorder = new UsageRecorder(deps, access, host);
    const record = async () => {
      if (isReachable(host)) await recorder.record(signal);
    };
    const firstMs = (usagePeriodMs * index) / hosts.length;
    return again(record, usagePeriodMs, firstMs, `what host ${host.name} uses could not be written down`);
  });
  const keep = () => keepHistory(deps, access, signal);
  return [...recorders, again(keep, keepPeriodMs, keepPeriodMs / 10, 'the history of usage could not be kept')];
}
