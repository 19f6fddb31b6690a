// Turns libvirt's notices into observations: which instance it is, and how it is now. Owns the order, one look at a time
// for each instance, and the memory of who was there, so that the end of a domain can be told. What cannot be read ends
// the connection it came over.
import type { AgentEvent, ObservedInstance } from '@virga/contract/agent/observed';
import type { Connection } from '@virga/libvirt/connection/connect';
import type { DomainRef, NetworkRef } from '@virga/libvirt/protocol/objects';
import type { AgentContext } from '../agent-context.ts';
import { findDrift } from '../definitions/drift.ts';
import { lookAt, type OwnDomain } from '../instances/domain-lookup.ts';
import { noteGone } from '../instances/gone-elsewhere.ts';
import { observe, observeAbsent, type SeenInstance } from '../instances/observed-instance.ts';
import type { EventQueue } from './event-queue.ts';

export class ChangeReader {
  private readonly context: AgentContext;
  private readonly connection: Connection;
  private readonly cloudId: string;
  private readonly queue: EventQueue<AgentEvent>;
  private readonly fail: (error: unknown) => void;
  private readonly known = new Map<string, Pick<ObservedInstance, 'id' | 'domainName'>>();
  private readonly looks = new Map<string, Promise<void>>();
  private readonly early: (() => void)[] = [];
  private phase: 'early' | 'open' | 'ended' = 'early';

  constructor(
    context: AgentContext,
    connection: Connection,
    cloudId: string,
    queue: EventQueue<AgentEvent>,
    fail: (error: unknown) => void,
  ) {
    this.context = context;
    this.connection = connection;
    this.cloudId = cloudId;
    this.queue = queue;
    this.fail = fail;
  }

  /** What came while the list was made is looked at now. */
  begin(seen: readonly SeenInstance[]): void {
    for (const { instance, uuid } of seen) if (uuid !== undefined) this.known.set(uuid, instance);
    this.phase = 'open';
    for (const change of this.early.splice(0)) change();
  }

  end(): void {
    this.phase = 'ended';
  }

  domainChanged(domain: DomainRef, { hasLeft = false }: { hasLeft?: boolean } = {}): void {
    if (this.phase === 'early') this.early.push(() => this.domainChanged(domain, { hasLeft }));
    if (this.phase !== 'open') return;
    const before = this.looks.get(domain.uuid) ?? Promise.resolve();
    const look = before.then(() => this.look(domain.uuid, hasLeft)).catch(this.fail);
    this.looks.set(domain.uuid, look);
    void look.then(() => {
      if (this.looks.get(domain.uuid) === look) this.looks.delete(domain.uuid);
    });
  }

  /** What it is defined as has changed: by us, or by somebody else, which is told. */
  definitionChanged(domain: DomainRef): void {
    if (this.phase === 'early') this.early.push(() => this.definitionChanged(domain));
    if (this.phase === 'open') void this.lookForDrift(domain.uuid).catch(this.fail);
  }

  networkChanged(network: NetworkRef): void {
    if (this.phase === 'early') this.early.push(() => this.networkChanged(network));
    if (this.phase === 'open') void this.lookAtNetwork(network).catch(this.fail);
  }

  private async look(uuid: string, hasLeft: boolean): Promise<void> {
    const known = this.known.get(uuid);
    if (hasLeft && known !== undefined) await noteGone(this.context.storage, known.id);
    const domain = await lookAt(this.connection, uuid);
    if (domain?.record?.cloudId === this.cloudId) {
      const instance = await observe(this.context, domain as OwnDomain);
      this.known.set(uuid, instance);
      this.tell({ type: 'instance', instance });
    } else if (known !== undefined) {
      this.known.delete(uuid);
      const identity = { ...known, uuid, cloudId: this.cloudId };
      this.tell({ type: 'instance', instance: await observeAbsent(this.context, identity) });
    }
  }

  private async lookForDrift(uuid: string): Promise<void> {
    const { locks } = this.context;
    const id = (await lookAt(this.connection, uuid))?.record?.instanceId;
    if (id === undefined) return;
    // We may be at it just now.
    await locks.run(id, async () => {
      const domain = await lookAt(this.connection, uuid);
      if (this.phase !== 'open' || domain?.record?.cloudId !== this.cloudId) return;
      const drift = await findDrift(this.context, domain as OwnDomain);
      if (drift !== undefined) this.tell({ type: 'drift', id, cloudId: this.cloudId, drift });
    });
  }

  private async lookAtNetwork(ref: NetworkRef): Promise<void> {
    const { networkNames } = this.context;
    const found = await networkNames.describe(this.connection, ref);
    const record = found?.defined.record ?? networkNames.recordOf(ref.uuid);
    if (record?.cloudId === this.cloudId) this.tell({ type: 'network-changed', id: record.id });
  }

  private tell(event: AgentEvent): void {
    if (this.phase === 'open') this.queue.push(event);
  }
}
