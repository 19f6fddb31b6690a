// Which libvirt network stands behind a network of ours, by the id in its metadata. Owns a memory of what was seen, which
// may be stale: what it answers is read from libvirt each time.
import type { NetworkId } from '@virga/contract/ids';
import type { Connection } from '@virga/libvirt/connection/connect';
import type { NetworkRef } from '@virga/libvirt/protocol/objects';
import { isLibvirtError } from '../hypervisor-errors.ts';
import { type NetworkDescription, readNetworkXml } from './network-xml.ts';

/** A network's two lives: what the next start will use, and what runs. A change made in one may be missing in the other. */
export type FoundNetwork = {
  ref: NetworkRef;
  defined: NetworkDescription;
  /** Undefined when it does not run. */
  running: NetworkDescription | undefined;
};

export class NetworkNames {
  private readonly refs = new Map<NetworkId, NetworkRef>();
  private readonly records = new Map<string, NetworkDescription['record']>();

  /** What a network said of itself that was seen before, by its UUID; also when it is gone meanwhile. */
  recordOf(uuid: string): NetworkDescription['record'] | undefined {
    return this.records.get(uuid);
  }

  /** The network as it is now; undefined when the host has none with that id. */
  async find(connection: Connection, id: NetworkId): Promise<FoundNetwork | undefined> {
    const known = this.refs.get(id);
    const found = known && (await this.describe(connection, known));
    if (found?.defined.record.id === id) return found;
    this.refs.delete(id);
    return (await this.list(connection)).find(({ defined }) => defined.record.id === id);
  }

  /** All networks of ours, of every cloud. */
  async list(connection: Connection): Promise<FoundNetwork[]> {
    const refs = await connection.networks.list();
    const found = await Promise.all(refs.map((ref) => this.describe(connection, ref)));
    return found.filter((network) => network !== undefined);
  }

  /** One network; undefined when it is somebody else's or gone. */
  async describe({ networks }: Connection, ref: NetworkRef): Promise<FoundNetwork | undefined> {
    try {
      const [defined, current, isActive] = await Promise.all([
        networks.xml(ref, { inactive: true }),
        networks.xml(ref),
        networks.isActive(ref),
      ]);
      const description = readNetworkXml(defined);
      if (description === undefined) return undefined;
      this.refs.set(description.record.id, ref);
      this.records.set(ref.uuid, description.record);
      return { ref, defined: description, running: isActive ? readNetworkXml(current) : undefined };
    } catch (error) {
      if (isLibvirtError(error, 'NO_NETWORK')) return undefined;
      throw error;
    }
  }
}
