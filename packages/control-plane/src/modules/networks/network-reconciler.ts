// Keeps every network on every host as it is desired, with exactly the leases of the instances that live there. What
// somebody stopped, removed or changed with virsh is brought back; what no row owns is removed.
// A host that is away gets its networks when it is back.
import type { DesiredLease } from '@virga/contract/agent/desired';
import type { ObservedNetwork } from '@virga/contract/agent/observed';
import { VirgaError } from '@virga/contract/errors';
import type { HostId, NetworkId } from '@virga/contract/ids';
import type { SystemAccess } from '../../access/authorizer.ts';
import type { RegisteredHost } from '../../agents/agent-registry.ts';
import type { Deps } from '../../deps.ts';
import { KeyedQueue } from '../../reconcile/keyed-queue.ts';
import { uuidOf } from '../../reconcile/uuid-of.ts';
import { recordNetworkDeleted, recordNetworkFailed, recordNetworkReached, tellNetwork } from './network-outcome.ts';
import { desiredNetworkOf, findNetwork, leasesOn, type NetworkRow } from './network-store.ts';

const concurrency = 4;

export class NetworkReconciler {
  readonly #context: { deps: Deps; access: SystemAccess };
  readonly #queue: KeyedQueue<NetworkId>;
  /** What each host showed last. Without an entry the host is asked for the network anew. */
  readonly #seen = new Map<HostId, Map<NetworkId, ObservedNetwork>>();

  constructor(deps: Deps, access: SystemAccess) {
    this.#context = { deps, access };
    this.#queue = new KeyedQueue({
      concurrency,
      work: (id, signal) => this.#reconcile(id, signal),
      onError: (id, error) => deps.log.warn({ err: error, network: id }, 'reconciling a network failed'),
    });
  }

  wake(id: NetworkId): void {
    this.#queue.wake(id);
  }

  /** Looks at every network that is not as it was last asked for. */
  async wakeUnconverged(): Promise<void> {
    const rows = await this.#context.deps.db
      .selectFrom('networks')
      .select('id')
      .where((where) =>
        where.or([where('desired', '=', 'deleted'), where('converged_generation', '!=', where.ref('generation'))]),
      )
      .execute();
    for (const { id } of rows) this.wake(id);
  }

  /** All networks of the host: each of ours is looked at. */
  async listed(host: RegisteredHost, networks: ObservedNetwork[]): Promise<void> {
    this.#seen.set(host.id, new Map(networks.map((network) => [network.id, network])));
    const rows = await this.#context.deps.db.selectFrom('networks').select('id').execute();
    for (const id of new Set([...rows.map((row) => row.id), ...networks.map((network) => network.id)])) this.wake(id);
  }

  /** Somebody did something to the network on this host. */
  changed(host: RegisteredHost, id: NetworkId): void {
    this.#seen.get(host.id)?.delete(id);
    this.wake(id);
  }

  async resync(host: RegisteredHost, signal?: AbortSignal): Promise<void> {
    await this.listed(host, await host.agent.listNetworks(this.#context.deps.cloudId, { signal }));
  }

  /** Brings the network to this host now, for an instance that needs it there. */
  async provide(host: RegisteredHost, id: NetworkId, signal: AbortSignal): Promise<void> {
    const row = await findNetwork(this.#context.deps.db, id);
    if (row?.desired !== 'active') return;
    this.#seen.get(host.id)?.delete(id);
    await this.#apply(host, row, signal);
  }

  async close(): Promise<void> {
    await this.#queue.close();
  }

  async #reconcile(id: NetworkId, signal: AbortSignal): Promise<void> {
    const { deps, access } = this.#context;
    const row = await findNetwork(deps.db, id);
    if (!row) return this.#reap(id, signal);
    try {
      if (row.desired === 'deleted') {
        await Promise.all(deps.agents.all().map((host) => this.#remove(host, id, signal)));
        if (!(await recordNetworkDeleted(this.#context, row))) this.wake(id);
      } else {
        await this.#applyEverywhere(row, signal);
        if (!(await recordNetworkReached(this.#context, row))) this.wake(id);
      }
    } catch (error) {
      if (!(error instanceof VirgaError) || signal.aborted) throw error;
      const isUndone = await recordNetworkFailed({ deps, access }, row, error);
      if (!isUndone) throw error;
      this.wake(id);
    }
  }

  /** @throws HostUnavailable no host could be reached @throws VirgaError a host refused */
  async #applyEverywhere(row: NetworkRow, signal: AbortSignal): Promise<void> {
    const hosts = this.#context.deps.agents.all();
    const results = await Promise.allSettled(hosts.map((host) => this.#apply(host, row, signal)));
    const errors = results.flatMap((result) => (result.status === 'rejected' ? [result.reason] : []));
    const refusal = errors.find((error) => !(error instanceof VirgaError) || error.code !== 'HostUnavailable');
    if (refusal) throw refusal;
    if (errors.length > 0 && errors.length === hosts.length) throw errors[0];
  }

  /** Applies until the leases are those of now: instances come and go while the host is at work. */
  async #apply(host: RegisteredHost, row: NetworkRow, signal: AbortSignal): Promise<void> {
    const { deps } = this.#context;
    let leases = await leasesOn(deps.db, row.id, host.id);
    const seen = this.#seen.get(host.id)?.get(row.id);
    if (seen?.active && seen.generation === row.generation && hasLeases(seen, leases)) return;
    const wasLost = row.converged_generation === row.generation && seen?.active === false;
    for (;;) {
      const observed = await host.agent.applyNetwork(desiredNetworkOf(row, leases, deps.cloudId), { signal });
      this.#rememberOn(host, observed);
      const latest = await leasesOn(deps.db, row.id, host.id);
      if (hasLeases(observed, latest)) break;
      leases = latest;
    }
    if (wasLost) {
      const message = `Network ${row.name} was stopped on host ${host.name} and was started again.`;
      await tellNetwork(this.#context, row, 'network.repaired', message);
    }
  }

  async #remove(host: RegisteredHost, id: NetworkId, signal: AbortSignal): Promise<void> {
    await host.agent.deleteNetwork({ id, cloudId: this.#context.deps.cloudId, uuid: uuidOf(id) }, { signal });
    this.#seen.get(host.id)?.delete(id);
  }

  /** No row owns the network: it goes from the hosts that have it. */
  async #reap(id: NetworkId, signal: AbortSignal): Promise<void> {
    const { deps } = this.#context;
    for (const host of deps.agents.all().filter(({ id: hostId }) => this.#seen.get(hostId)?.has(id))) {
      await this.#remove(host, id, signal);
      deps.log.warn({ network: id, host: host.name }, 'removed a network that no row owns');
    }
  }

  #rememberOn(host: RegisteredHost, observed: ObservedNetwork): void {
    const known = this.#seen.get(host.id) ?? new Map<NetworkId, ObservedNetwork>();
    this.#seen.set(host.id, known.set(observed.id, observed));
  }
}

function hasLeases({ leases }: ObservedNetwork, desired: DesiredLease[]): boolean {
  const key = ({ mac, address }: { mac: string; address: string }) => `${mac.toLowerCase()} ${address}`;
  const there = new Set(leases.map(key));
  return there.size === desired.length && desired.every((lease) => there.has(key(lease)));
}
