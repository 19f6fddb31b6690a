// Comparisons of the libvirt agent, one at a time. Owns from when to when there is something of them on the host: what was made
// is taken away before the answer, and what a killed run left when the agent starts again.
import { setTimeout as delay } from 'node:timers/promises';
import type { BenchComparisonName, HostBenchmarking, MeasuredComparison } from '@virga/contract/agent/host-bench';
import { VirgaError } from '@virga/contract/errors';
import type { Logger } from 'pino';
import { NotPossible } from '../../host-bench/comparison.ts';
import { measureInRounds } from '../../host-bench/measure.ts';
import type { AgentContext } from '../agent-context.ts';
import { builtImage, type RecipeOutput } from '../built-image.ts';
import { BenchHolder } from './bench-holder.ts';
import { benchFolder, benchPrefix } from './bench-names.ts';
import { BenchWorld } from './bench-world.ts';
import type { Comparison } from './comparisons/comparison.ts';
import { diskBus } from './comparisons/disk-bus.ts';
import { diskCache } from './comparisons/disk-cache.ts';
import { hugePages } from './comparisons/huge-pages.ts';
import { ioScheduler } from './comparisons/io-scheduler.ts';
import { ksm } from './comparisons/ksm.ts';
import { nestedPaging } from './comparisons/nested-paging.ts';
import { networkCard } from './comparisons/network-card.ts';
import { pinning } from './comparisons/pinning.ts';
import { thp } from './comparisons/thp.ts';
import { reapBench } from './reap.ts';

const comparisons: Readonly<Record<BenchComparisonName, Comparison>> = {
  pinning,
  thp,
  'huge-pages': hugePages,
  ksm,
  'disk-cache': diskCache,
  'io-scheduler': ioScheduler,
  'disk-bus': diskBus,
  'network-card': networkCard,
  'nested-paging': nestedPaging,
};

const reapRetryMs = 5_000;

const kept = { folder: 'bench-images', suffix: '.qcow2', what: 'the image to measure with' };

export function hostBenchmarking(
  context: AgentContext,
  image: RecipeOutput | undefined,
): HostBenchmarking & { stopReaping(): Promise<void> } {
  let isBusy = false;
  const holder = new BenchHolder();
  const reaping = reapInBackground(() => reapBench(context, holder), context.log);
  return {
    stopReaping: reaping.stop,
    async compare({ comparison, pairs, seconds, force }, call = {}) {
      if (isBusy || (await holder.isHeldByOther(benchFolder(context.storage)))) {
        throw conflict('A benchmark runs on the host already.', 'Wait until it has ended, or cancel it.');
      }
      isBusy = true;
      try {
        await reaping.done;
        await reapBench(context, holder);
        if (!force) await refuseBesideOthers(context);
        const { signal = new AbortController().signal } = call;
        const built = await builtImage(context, image, kept, call);
        const world = await BenchWorld.open(context, { image: built, seconds, signal, holder });
        return await compareIn(world, comparison, pairs, call);
      } finally {
        // Nothing of it stays, also when it was cut off or failed.
        await reapBench(context, holder).catch((error) =>
          context.log.warn({ err: error }, 'a benchmark left something behind'),
        );
        isBusy = false;
      }
    },
  };
}

async function compareIn(
  world: BenchWorld,
  name: BenchComparisonName,
  pairs: number,
  call: Parameters<HostBenchmarking['compare']>[1] & object,
): Promise<MeasuredComparison> {
  const { title, prepare } = comparisons[name];
  const began = performance.now();
  const result = (
    more: Pick<MeasuredComparison, 'device' | 'conditions' | 'metrics' | 'notPossible'>,
  ): MeasuredComparison => ({
    name,
    title,
    ...more,
    tookSeconds: Math.round((performance.now() - began) / 1000),
  });
  try {
    call.onProgress?.(`${title}: starting guests`, 0);
    const prepared = await prepare(world);
    const load = [await loadAverage(world)];
    const metrics = await measureInRounds(prepared, pairs, title, call);
    load.push(await loadAverage(world));
    const { conditions, device = null } = prepared;
    const loaded = `The load average of the host was ${load.join(' when measuring began and ')} when it ended, its own guests included.`;
    return result({ device, conditions: [...conditions, loaded], metrics, notPossible: null });
  } catch (error) {
    if (!(error instanceof NotPossible)) throw error;
    return result({ device: null, conditions: [], metrics: [], notPossible: error.message });
  }
}

/** Of the last minute. */
async function loadAverage({ context: { system } }: BenchWorld): Promise<string> {
  return (await system.read('/proc/loadavg'))?.split(' ')[0] ?? 'unknown';
}

/** Guests of others take of what is measured, and are slowed down by it. */
async function refuseBesideOthers({ hypervisor, storage }: AgentContext): Promise<void> {
  const running = await hypervisor.ask('list the domains', ({ domains }) => domains.list({ active: true }));
  const others = running.filter(({ name }) => !name.startsWith(benchPrefix(storage)));
  if (others.length === 0) return;
  const count = others.length === 1 ? `the guest ${others[0]!.name} runs` : `${others.length} guests run`;
  throw conflict(
    `While ${count} on the host, figures would be of that too, and its work would be slowed down.`,
    'Stop them or move them away first; or measure all the same with --force.',
  );
}

/** At once, and again until libvirt answers. `stop` waits for what is under way. */
function reapInBackground(reap: () => Promise<void>, log: Logger): { done: Promise<void>; stop(): Promise<void> } {
  const stopping = new AbortController();
  const { signal } = stopping;
  const done = (async () => {
    while (!signal.aborted) {
      try {
        return await reap();
      } catch (error) {
        log.warn({ err: error }, 'what a benchmark left is still there');
      }
      await delay(reapRetryMs, undefined, { signal }).catch(() => {});
    }
  })();
  return {
    done,
    stop() {
      stopping.abort();
      return done;
    },
  };
}

const conflict = (detail: string, action: string): VirgaError => new VirgaError('Conflict', { detail, action });
