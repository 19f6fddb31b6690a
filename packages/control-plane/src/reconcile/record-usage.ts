// When it is written down what hosts use: each host every period, one after the other so that many hosts are no burst; and,
// for all, when the history is rolled up and what is old is removed.
import { setTimeout as sleep } from 'node:timers/promises';
import { systemAccess } from '../access/system-access.ts';
import type { RegisteredHost } from '../agents/agent-registry.ts';
import type { Deps } from '../deps.ts';
import { keepHistory, UsageRecorder } from '../modules/usage/usage-recorder.ts';

const keepPeriodMs = 5 * 60_000;
/** How soon it is looked again for a host that is away. */
const awayMs = 1_000;

/** @returns what ends once the signal aborts */
export function recordUsage(
  deps: Deps,
  isReachable: (host: RegisteredHost) => boolean,
  signal: AbortSignal,
): Promise<void>[] {
  const access = systemAccess('usage');
  const { usagePeriodMs } = deps.settings;
  /** @param work answers when it is to be done again, unless it fails: then after the period */
  const again = async (work: () => Promise<number>, periodMs: number, firstMs: number, message: string) => {
    for (let pauseMs = firstMs; ; ) {
      await sleep(pauseMs, undefined, { signal }).catch(() => {});
      if (signal.aborted) return;
      pauseMs = await work().catch((error) => {
        if (!signal.aborted) deps.log.warn({ err: error }, message);
        return periodMs;
      });
    }
  };
  const hosts = usagePeriodMs > 0 ? deps.agents.all() : [];
  const recorders = hosts.map((host, index) => {
    const recorder = new UsageRecorder(deps, access, host);
    const record = async () => {
      if (!isReachable(host)) return awayMs;
      await recorder.record(signal);
      return usagePeriodMs;
    };
    const firstMs = (usagePeriodMs * index) / hosts.length;
    return again(record, usagePeriodMs, firstMs, `what host ${host.name} uses could not be written down`);
  });
  const keep = async () => {
    await keepHistory(deps, access, signal);
    return keepPeriodMs;
  };
  return [...recorders, again(keep, keepPeriodMs, keepPeriodMs / 10, 'the history of usage could not be kept')];
}
