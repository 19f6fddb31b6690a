// What a host last showed of its instances: told by its events, or answered when it was asked. Held in memory only, since the
// host can be asked again. Owns which of two observations is the newer one.
import type { ObservedInstance } from '@virga/contract/agent/observed';
import type { InstanceId } from '@virga/contract/ids';
import type { RegisteredHost } from '../../agents/agent-registry.ts';

export class HostSight {
  readonly #agent: RegisteredHost['agent'];
  readonly #cloudId: string;
  readonly #seen = new Map<InstanceId, ObservedInstance>();
  /** How many events have come, and which of them was the last of each instance. */
  #eventCount = 0;
  readonly #lastEvent = new Map<InstanceId, number>();
  #list: Promise<unknown> | undefined;
  #nextList: Promise<Map<InstanceId, ObservedInstance>> | undefined;

  constructor(agent: RegisteredHost['agent'], cloudId: string) {
    this.#agent = agent;
    this.#cloudId = cloudId;
  }

  get(id: InstanceId): ObservedInstance | undefined {
    return this.#seen.get(id);
  }

  /** To be taken before the host is asked, and given to {@link answered} with the answer. */
  get moment(): number {
    return this.#eventCount;
  }

  /** An event came. */
  told(instance: ObservedInstance): void {
    this.#seen.set(instance.id, instance);
    this.#eventCount += 1;
    this.#lastEvent.set(instance.id, this.#eventCount);
  }

  /**
   * Keeps an answer of the host, unless an event has come since it was asked, which may be newer. Then the event stands, and
   * has woken the instance.
   */
  answered(id: InstanceId, seen: ObservedInstance, askedAt: number): boolean {
    if ((this.#lastEvent.get(id) ?? 0) > askedAt) return false;
    this.#seen.set(id, seen);
    return true;
  }

  /**
   * What the host has of the instance, asked after this was called. Who asks meanwhile waits for the next answer and
   * shares it, so that a hundred guests that end at once cost two questions.
   */
  async lookNow(id: InstanceId): Promise<ObservedInstance> {
    this.#nextList ??= (this.#list ?? Promise.resolve()).then(() => {
      const list = this.#agent.listInstances(this.#cloudId);
      this.#nextList = undefined;
      this.#list = list.catch(() => {});
      return list.then((instances) => new Map(instances.map((instance) => [instance.id, instance])));
    });
    return (await this.#nextList).get(id) ?? this.nothingOf(id);
  }

  forget(id: InstanceId): void {
    this.#seen.delete(id);
    this.#lastEvent.delete(id);
  }

  nothingOf(id: InstanceId): ObservedInstance {
    return {
      id,
      cloudId: this.#cloudId,
      generation: 0,
      state: 'absent',
      reason: 'undefined',
      intact: false,
      leftovers: false,
      domainName: '',
    };
  }
}
