// What a client was told, and what there has to be because of it. Counts instances that were lost, that leaked, and that
// exist twice, against the API, the database and the host.
import { randomUUID } from 'node:crypto';
import type { Client } from '@virga/contract/client';
import { VirgaError } from '@virga/contract/errors';
import type { InstanceId } from '@virga/contract/ids';
import type { Instance, LaunchInstance } from '@virga/contract/rest/instances';
import { until } from '@virga/testing/until';
import type { CloudUnderFault } from './cloud-under-fault.ts';

type Entry = {
  name: string;
  idempotencyKey: string;
  /** Undefined: nobody was told that it exists. */
  id: InstanceId | undefined;
  /** `asked`: whether it was heard is not known. */
  deletion: 'none' | 'asked' | 'acknowledged';
};

export type Verdict = { lost: string[]; leaked: string[]; duplicated: string[] };

const settleMs = 60_000;
/** The server was gone before it answered. */
const unanswered = new Set(['ServerUnreachable', 'Timeout', 'StoreUnavailable']);

export class Ledger {
  private readonly cloud: CloudUnderFault;
  private readonly spec: Omit<LaunchInstance, 'name'>;
  private readonly entries = new Map<string, Entry>();
  private launches = 0;

  constructor(cloud: CloudUnderFault, spec: Omit<LaunchInstance, 'name'>) {
    this.cloud = cloud;
    this.spec = spec;
  }

  /** Instances that are to be there, as far as is known. */
  get living(): Entry[] {
    return [...this.entries.values()].filter(({ id, deletion }) => id !== undefined && deletion === 'none');
  }

  /** Asks for one more instance. Answers whether it was acknowledged. */
  async launch(): Promise<boolean> {
    const name = `vm-${++this.launches}`;
    const entry: Entry = { name, idempotencyKey: randomUUID(), id: undefined, deletion: 'none' };
    this.entries.set(name, entry);
    return this.tryLaunch(entry, this.cloud.client);
  }

  /** Asks for the end of one. */
  async delete(entry: Entry): Promise<boolean> {
    entry.deletion = 'asked';
    return this.tryDelete(entry, this.cloud.client);
  }

  /**
   * After a restart: asks again for half of what was not answered, finds out about the other half, and waits until
   * everything is as it was asked for.
   */
  async settle(): Promise<void> {
    const { client } = this.cloud;
    const unknown = [...this.entries.values()].filter(({ id, deletion }) => id === undefined || deletion === 'asked');
    for (const [index, entry] of unknown.entries()) {
      const again = index % 2 === 0;
      if (entry.id !== undefined) {
        if (again) await this.tryDelete(entry, client);
        else if (await this.isBeingDeleted(entry.id)) entry.deletion = 'acknowledged';
        else entry.deletion = 'none';
      } else if (!again || !(await this.tryLaunch(entry, client))) {
        const [found] = (await client.listInstances({ query: { name: entry.name } })).items;
        if (found === undefined) this.entries.delete(entry.name);
        else entry.id = found.id;
      }
    }
    const since = performance.now();
    await until('the cloud is as it was asked for', () => this.isSettled(), {
      timeoutMs: settleMs,
      intervalMs: 50,
    }).catch(async (error) => {
      const waitedMs = Math.round(performance.now() - since);
      throw new Error(`${await this.describe()} after ${waitedMs} ms`, { cause: error });
    });
  }

  /** Compares what there is with what was acknowledged. Leaks may take a moment to be reaped. */
  async judge(): Promise<Verdict> {
    let verdict = await this.compare();
    const isClean = async () => {
      verdict = await this.compare();
      return Object.values(verdict).every((faults) => faults.length === 0);
    };
    await until('nothing is lost, leaked or there twice', isClean, { timeoutMs: 20_000, intervalMs: 100 }).catch(
      () => undefined,
    );
    return verdict;
  }

  private async tryLaunch(entry: Entry, client: Client): Promise<boolean> {
    const body = { ...this.spec, name: entry.name };
    return answered(async () => {
      const { instance } = await client.launchInstance({ body }, { idempotencyKey: entry.idempotencyKey });
      entry.id = instance.id;
    });
  }

  private async tryDelete(entry: Entry, client: Client): Promise<boolean> {
    return answered(async () => {
      try {
        await client.deleteInstance({ query: {}, params: { id: entry.id! } });
      } catch (error) {
        if (!(error instanceof VirgaError && error.code === 'NotFound')) throw error;
      }
      entry.deletion = 'acknowledged';
    });
  }

  private async isBeingDeleted(id: InstanceId): Promise<boolean> {
    const found = (await this.list()).find((instance) => instance.id === id);
    return found === undefined || found.desiredState === 'deleted';
  }

  private async list(): Promise<Instance[]> {
    return (await this.cloud.client.listInstances({ query: { limit: 1000 } })).items;
  }

  private async isSettled(): Promise<boolean> {
    const instances = await this.list();
    const living = this.living;
    if (instances.length !== living.length || instances.some(({ state }) => state !== 'running')) return false;
    const { client } = this.cloud;
    for (const state of ['queued', 'running'] as const) {
      if ((await client.listOperations({ query: { state, limit: 1 } })).items.length > 0) return false;
    }
    return true;
  }

  private async describe(): Promise<string> {
    const instances = (await this.list()).map(
      ({ name, state, stateReason }) => `${name} ${state} ${stateReason ?? ''}`,
    );
    const failed = (await this.cloud.client.listOperations({ query: { state: 'failed' } })).items;
    const reasons = failed.map(
      ({ kind, resourceName, error }) => `${kind} of ${resourceName} failed: ${error?.detail}`,
    );
    return `asked for ${this.living.map(({ name }) => name).join()}; there is ${instances.join(', ') || 'nothing'}; ${reasons.join(' ')}`;
  }

  private async compare(): Promise<Verdict> {
    const verdict: Verdict = { lost: [], leaked: [], duplicated: [] };
    const living = this.living;
    const wanted = new Set<string>(living.map(({ id }) => id!));
    const instances = await this.list();
    const { db } = this.cloud.store;
    const [inventory, rows, nics, addresses, hosts] = await Promise.all([
      this.cloud.inventory(),
      db.selectFrom('instances').selectAll().execute(),
      db.selectFrom('nics').selectAll().execute(),
      db.selectFrom('addresses').selectAll().where('nic_id', 'is not', null).execute(),
      db.selectFrom('hosts').selectAll().execute(),
    ]);
    const leases = inventory.networks.flatMap((network) => network.leases);
    const compareIds = (where: string, ids: string[]) => {
      for (const id of wanted) {
        const count = ids.filter((found) => found === id).length;
        if (count === 0) verdict.lost.push(`${id} is not in ${where}`);
        if (count > 1) verdict.duplicated.push(`${id} is ${count} times in ${where}`);
      }
      for (const id of ids) if (!wanted.has(id)) verdict.leaked.push(`${id} is still in ${where}`);
    };
    compareIds(
      'the API',
      instances.map(({ id }) => id),
    );
    compareIds(
      'the database',
      rows.map(({ id }) => id),
    );
    compareIds(
      'the database as a card',
      nics.map(({ instance_id }) => instance_id),
    );
    compareIds(
      'the host',
      inventory.instances.map(({ id }) => id),
    );
    compareIds(
      'the leases of the host',
      leases.map(({ mac }) => nics.find((nic) => nic.mac.toLowerCase() === mac.toLowerCase())?.instance_id ?? mac),
    );
    compareIds(
      'the leased addresses',
      addresses.map(({ nic_id, address }) => nics.find(({ id }) => id === nic_id)?.instance_id ?? String(address)),
    );
    for (const { id, state, intact, leftovers } of inventory.instances) {
      if (wanted.has(id) && (state !== 'running' || !intact || leftovers))
        verdict.lost.push(`${id} is ${state} on the host`);
    }
    const names = new Set(instances.map(({ name }) => name));
    if (names.size !== instances.length) verdict.duplicated.push('two instances have one name');
    const promised = rows.reduce((sum, row) => sum + row.vcpus, 0);
    const allocated = hosts.reduce((sum, host) => sum + host.allocated_vcpus, 0);
    if (promised !== allocated) verdict.leaked.push(`${allocated} vCPUs are allocated for ${promised}`);
    return verdict;
  }
}

/** False when the server was gone before it answered. */
async function answered(work: () => Promise<void>): Promise<boolean> {
  try {
    await work();
    return true;
  } catch (error) {
    if (error instanceof VirgaError && unanswered.has(error.code)) return false;
    throw error;
  }
}
