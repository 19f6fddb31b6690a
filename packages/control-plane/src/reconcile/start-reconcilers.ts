// Starts all that acts by itself: the watch of every host, the reconcilers of instances, networks and volumes, workflows, reapers.
// Only one server acts on a database at a time. Nothing here holds what could be lost: closing it, or killing it, at any
// moment is made up for by the next start.
import { setTimeout as sleep } from 'node:timers/promises';
import type { HostId } from '@virga/contract/ids';
import { sql } from 'kysely';
import { systemAccess } from '../access/system-access.ts';
import type { RegisteredHost } from '../agents/agent-registry.ts';
import { HostWatcher } from '../agents/host-watcher.ts';
import type { Deps } from '../deps.ts';
import { backupWorkflows } from '../modules/backups/backup-workflows.ts';
import { benchHost } from '../modules/hosts/bench/bench-host.workflow.ts';
import { HostTuningReconciler } from '../modules/hosts/host-tuning-reconciler.ts';
import { settledTunings, unconvergedTunings } from '../modules/hosts/host-tuning-store.ts';
import { buildImage } from '../modules/images/build/build-image.workflow.ts';
import { deleteImageWorkflow } from '../modules/images/delete-image.workflow.ts';
import { provideImage } from '../modules/images/image-hosts.ts';
import { importImage } from '../modules/images/import-image.workflow.ts';
import { reapImages } from '../modules/images/orphaned-image-reaper.ts';
import { shareImage } from '../modules/images/share-image.workflow.ts';
import { keepCpus } from '../modules/instances/cpu-drift.ts';
import { recordDrift } from '../modules/instances/definition-drift.ts';
import { followHostBoot } from '../modules/instances/host-restart.ts';
import { InstanceReconciler } from '../modules/instances/instance-reconciler.ts';
import { readWake } from '../modules/instances/instance-wake.ts';
import { relieveHost } from '../modules/instances/memory-relief.ts';
import { moveRootDiskWorkflow } from '../modules/instances/move-root-disk.workflow.ts';
import { reapReleased } from '../modules/instances/released-instances.ts';
import { NetworkReconciler } from '../modules/networks/network-reconciler.ts';
import { CpuPoolReconciler } from '../modules/placement/cpu-pool-reconciler.ts';
import { reapImageCopies } from '../modules/pools/image-copies.ts';
import { PoolReconciler } from '../modules/pools/pool-reconciler.ts';
import { reapSnapshots } from '../modules/snapshots/orphaned-snapshot-reaper.ts';
import { snapshotWorkflows } from '../modules/snapshots/snapshot-workflows.ts';
import { reapSpentSnapshots } from '../modules/snapshots/spent-snapshot-reaper.ts';
import { TemplateReconciler } from '../modules/templates/template-reconciler.ts';
import { moveVolumeWorkflow } from '../modules/volumes/move-volume.workflow.ts';
import { giveKeys } from '../modules/volumes/volume-keys.ts';
import { VolumeReconciler } from '../modules/volumes/volume-reconciler.ts';
import { expireIdempotencyKeys } from '../store/once-only.ts';
import { WorkflowEngine } from '../workflows/workflow-engine.ts';
import { startClockwork } from './clockwork.ts';
import { HostKeeper } from './host-keeper.ts';
import { recordUsage } from './record-usage.ts';
import { type Acting, SingleActive } from './single-active.ts';

/** Acts as soon as this server is the active one. `close` ends everything in order, and lets no call go on. */
export function startReconcilers(deps: Deps): { close(): Promise<void> } {
  const active = new SingleActive(deps, () => act(deps));
  active.start();
  return active;
}

/** How many instances a look at the database finds at most; the rest is found by the next. */
const unconvergedBatch = 1_000;

async function act(deps: Deps): Promise<Acting> {
  const access = systemAccess('reconciler');
  const ending = new AbortController();
  const networks = new NetworkReconciler(deps, access);
  const volumes = new VolumeReconciler(deps, access);
  const hosts = new Map<HostId, ActedOn>();
  const wakeUnconverged = async (isWanted: (host: ActedOn) => boolean) => {
    await networks.wakeUnconverged();
    await volumes.wakeUnconverged();
    for (const id of await unconvergedTunings(deps.db)) hosts.get(id)?.tuning.wake();
    for (const { host_id, id } of await findUnconverged(deps)) {
      const host = hosts.get(host_id);
      if (host && isWanted(host)) host.instances.wake(id);
    }
  };
  // A host that is away is not asked again and again: it tells when it is back.
  const look = () => wakeUnconverged(({ watcher }) => watcher.isReachable);
  for (const host of deps.agents.all()) {
    // Once, so that operations say what they wait for.
    const onUnreachable = () => wakeUnconverged(({ id }) => id === host.id);
    hosts.set(host.id, actOn(deps, host, { networks, volumes }, onUnreachable, hosts, ending.signal));
  }
  const engine = new WorkflowEngine({
    deps,
    access: systemAccess('workflow'),
    workflows: [
      importImage,
      buildImage,
      shareImage,
      deleteImageWorkflow,
      benchHost,
      ...snapshotWorkflows,
      ...backupWorkflows,
      moveVolumeWorkflow,
      moveRootDiskWorkflow,
    ],
    isAlone: true,
  });
  const clockwork = startClockwork(deps);
  const unsubscribe = [
    deps.notifications.subscribe('due', () => clockwork.wake()),
    deps.notifications.subscribe('instances', (payload) => {
      const { hostId, id } = readWake(payload);
      hosts.get(hostId)?.instances.wake(id);
    }),
    deps.notifications.subscribe('networks', (id) => networks.wake(id as Parameters<typeof networks.wake>[0])),
    deps.notifications.subscribe('templates', (id) => hosts.get(id as HostId)?.templates.wake()),
    deps.notifications.subscribe('hosts', (id) => hosts.get(id as HostId)?.cpuPools.wake()),
    // Without an id it is of every host.
    deps.notifications.subscribe('keepsakes', (id) => {
      for (const host of hosts.values()) if (id === '' || id === host.id) host.keeper.wake();
    }),
    deps.notifications.subscribe('tunings', (id) => {
      const host = hosts.get(id as HostId);
      host?.tuning.wake();
      host?.keeper.wake();
    }),
    deps.notifications.subscribe('pools', () => {
      for (const { pools } of hosts.values()) pools.wake();
    }),
    deps.notifications.subscribe('volumes', (id) => volumes.wake(id as Parameters<typeof volumes.wake>[0])),
    deps.notifications.onReconnected(() => {
      engine.wake();
      clockwork.wake();
      for (const { keeper } of hosts.values()) keeper.wake();
      look().catch((error) => log(deps, error));
    }),
  ];
  let periodic: Promise<void>[] = [];
  const close = async () => {
    ending.abort();
    for (const stop of unsubscribe) stop();
    const ofHosts = [...hosts.values()];
    await Promise.all(ofHosts.map(({ watcher }) => watcher.close()));
    await Promise.all([
      engine.close(),
      clockwork.close(),
      networks.close(),
      volumes.close(),
      ...ofHosts.map(({ instances }) => instances.close()),
      ...ofHosts.map(({ templates }) => templates.close()),
      ...ofHosts.map(({ cpuPools }) => cpuPools.close()),
      ...ofHosts.map(({ tuning }) => tuning.close()),
      ...ofHosts.map(({ pools }) => pools.close()),
      ...ofHosts.map(({ keeper }) => keeper.close()),
    ]);
    await Promise.all(periodic);
  };
  try {
    await engine.start();
  } catch (error) {
    await close();
    throw error;
  }
  for (const { watcher } of hosts.values()) watcher.start();
  periodic = [
    every(deps, deps.settings.reconcilePeriodMs, ending.signal, look),
    every(deps, deps.settings.reconcilePeriodMs, ending.signal, () => reapSpentSnapshots({ deps, access })),
    every(deps, hourMs, ending.signal, () => expireIdempotencyKeys(deps.db, deps.clock.now())),
    every(deps, deps.settings.tuningPeriodMs, ending.signal, async () => {
      for (const id of await settledTunings(deps.db)) {
        const host = hosts.get(id);
        if (host?.watcher.isReachable) host.tuning.wake();
      }
    }),
    ...[...hosts.values()].map((host) => every(deps, deps.settings.resyncPeriodMs, ending.signal, host.resync)),
    ...recordUsage(deps, ({ id }) => hosts.get(id)?.watcher.isReachable ?? false, ending.signal),
  ];
  return { close };
}

const hourMs = 3_600_000;

type ActedOn = {
  id: HostId;
  instances: InstanceReconciler;
  templates: TemplateReconciler;
  cpuPools: CpuPoolReconciler;
  tuning: HostTuningReconciler;
  pools: PoolReconciler;
  keeper: HostKeeper;
  watcher: HostWatcher;
  resync: () => Promise<void>;
};

function actOn(
  deps: Deps,
  host: RegisteredHost,
  { networks, volumes }: { networks: NetworkReconciler; volumes: VolumeReconciler },
  onUnreachable: () => Promise<void>,
  all: ReadonlyMap<HostId, ActedOn>,
  signal: AbortSignal,
): ActedOn {
  const access = systemAccess('reconciler');
  const instances = new InstanceReconciler({
    deps,
    access,
    host,
    provide: async (row, callSignal) => {
      await giveKeys(deps, { instanceId: row.id }, callSignal);
      if (row.desired === 'deleted') return;
      for (const image of [row.image_id, row.cdrom_image_id]) {
        if (image !== null) await provideImage(deps, host, image, callSignal);
      }
      for (const { networkId } of row.nics) await networks.provide(host, networkId, callSignal);
    },
    others: () => [...all.values()].filter(({ id }) => id !== host.id).map(({ instances: { view } }) => view),
    wakeAt: (hostId, id) => all.get(hostId)?.instances.wake(id),
    leasesLeft: (id) => networks.changed(host, id),
  });
  const templates = new TemplateReconciler(deps, access, host);
  const cpuPools = new CpuPoolReconciler(deps, access, host);
  const tuning = new HostTuningReconciler(deps, access, host);
  const pools = new PoolReconciler(deps, access, host);
  const keeper = new HostKeeper(deps, host);
  const unwaited = (work: Promise<unknown>) => void work.catch((error) => log(deps, error));
  let isRelieving = false;
  const lookForDrifts = async () => {
    for (const { id, drift } of await host.agent.findDrifts(deps.cloudId, { signal })) {
      await recordDrift({ deps, access }, host.id, id, drift);
    }
  };
  const keepPlaces = () => keepCpus({ deps, access }, host, signal);
  let lastBoot: Promise<unknown> = Promise.resolve();
  const watcher = new HostWatcher(deps, access, host, {
    ready: (seen, seenNetworks, bootId) => {
      unwaited(networks.listed(host, seenNetworks));
      // What others did meanwhile is told before all guests are moved to where they belong.
      unwaited(keepPlaces());
      cpuPools.wake({ isBack: true });
      keeper.wake({ isBack: true });
      instances.gate.shut();
      const follow = () => untilDone(deps, signal, () => followHostBoot({ deps, access }, host.id, bootId));
      // Guests may need what tuning reserves, such as huge pages.
      const tuned = tuning.ready(bootId);
      const followed = lastBoot.then(() => tuned).then(follow);
      lastBoot = followed;
      unwaited(followed.then(() => signal.aborted || lastBoot !== followed || instances.gate.open()));
      unwaited(instances.listed(seen));
      unwaited(reapImages(deps, access, host, signal));
      pools.wake();
      unwaited(volumes.wakeUnconverged());
      unwaited(templates.resync());
      unwaited(volumes.resync(host, signal));
      unwaited(reapReleased({ deps, access }, host));
      // Nobody told of what was done while the host was out of sight.
      unwaited(lookForDrifts());
    },
    unreachable: () => {
      instances.gate.open();
      unwaited(onUnreachable());
    },
    factsRecorded: () => pools.wake(),
    facts: (facts) => {
      instances.hostThreads = facts.cpuThreads;
      if (!isRelieving) {
        isRelieving = true;
        const relieved = relieveHost({ deps, access: systemAccess('memory') }, host, facts, signal);
        unwaited(
          relieved.finally(() => {
            isRelieving = false;
          }),
        );
      }
    },
    instance: (instance) => instances.observed(instance),
    drift: (id, drift) => unwaited(recordDrift({ deps, access }, host.id, id, drift)),
    networkChanged: (id) => networks.changed(host, id),
  });
  let isReaping = false;
  const resync = async () => {
    if (!watcher.isReachable) return;
    await networks.resync(host, signal);
    await instances.resync(signal);
    await reapImages(deps, access, host, signal);
    await reapImageCopies(deps, host, signal);
    await volumes.resync(host, signal);
    await templates.resync();
    cpuPools.wake();
    await reapReleased({ deps, access }, host);
    await lookForDrifts();
    await keepPlaces();
    // Nothing waits for it: a large disk is merged for a long time.
    if (isReaping) return;
    isReaping = true;
    const reaped = reapSnapshots({ deps, access }, host, signal);
    unwaited(
      reaped.finally(() => {
        isReaping = false;
      }),
    );
  };
  return { id: host.id, instances, templates, cpuPools, tuning, pools, keeper, watcher, resync };
}

/** Instances that are not as they were last asked for and may be tried now. Reads an index of just those. */
async function findUnconverged({ db, clock }: Deps) {
  return db
    .selectFrom('instances')
    .select(['host_id', 'id'])
    .where(sql<boolean>`(converged_generation <> generation or desired = 'deleted')`)
    .where((where) => where.or([where('retry_at', 'is', null), where('retry_at', '<=', clock.now())]))
    .limit(unconvergedBatch)
    .execute();
}

const firstRetryMs = 200;

/** Tries something until it has gone well, or the end. */
async function untilDone(deps: Deps, signal: AbortSignal, work: () => Promise<unknown>): Promise<void> {
  for (let pauseMs = firstRetryMs; !signal.aborted; pauseMs = Math.min(2 * pauseMs, 5_000)) {
    try {
      await work();
      return;
    } catch (error) {
      log(deps, error);
    }
    await sleep(pauseMs, undefined, { signal }).catch(() => {});
  }
}

/** Does something at once and then again and again. What it throws is logged; the next time may go better. */
async function every(deps: Deps, periodMs: number, signal: AbortSignal, work: () => Promise<unknown>): Promise<void> {
  while (!signal.aborted) {
    await work().catch((error) => signal.aborted || log(deps, error));
    await sleep(periodMs, undefined, { signal }).catch(() => {});
  }
}

function log(deps: Deps, error: unknown): void {
  deps.log.warn({ err: error }, 'periodic work failed');
}
