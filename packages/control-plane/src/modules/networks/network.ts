// What a network is called on its hosts. Pure.
import type { NetworkId } from '@virga/contract/ids';

/** Name of the Linux bridge: `vbr` and the first digits of the id, 15 characters, which is the most that Linux takes. */
export function bridgeNameOf(id: NetworkId): string {
  return `vbr${id.slice('net-'.length, 'net-'.length + 12)}`;
}

/** Name of the libvirt network: unique on every host, and people see whose it is. */
export function networkNameOf({ id, name }: { id: NetworkId; name: string }): string {
  return `${name}.${id}`;
}
