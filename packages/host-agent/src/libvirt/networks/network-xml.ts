// Network XML: written as a pure function of the desired network, and read back. Owns the choice that addresses are only
// given to known cards: there is no range, so a stranger's card on the bridge gets none.
// @see https://libvirt.org/formatnetwork.html
import type { DesiredLease, DesiredNetwork } from '@virga/contract/agent/desired';
import { isId } from '@virga/contract/ids';
import { childAt, childrenOf, element, parseXml, textElement, type XmlElement } from '../xml.ts';

const namespace = 'urn:virga:network:1';
/** Long, since a card's address never changes; a guest that was paused for hours still owns it. */
const leaseHours = 24;

export type NetworkRecord = Pick<DesiredNetwork, 'id' | 'cloudId' | 'generation'>;

/** A network of ours as libvirt describes it. */
export type NetworkDescription = {
  name: string;
  record: NetworkRecord;
  bridge: string;
  gateway: string;
  prefix: number;
  leases: { mac: string; address: string; hostName: string | undefined }[];
  keepsake: Record<string, unknown>;
};

export function networkXml(network: DesiredNetwork): string {
  const record = {
    'xmlns:virga': namespace,
    cloud: network.cloudId,
    id: network.id,
    generation: network.generation,
  };
  return element(
    'network',
    {},
    textElement('name', network.name),
    textElement('uuid', network.uuid),
    element('metadata', {}, textElement('virga:network', JSON.stringify(network.keepsake ?? {}), record)),
    element('forward', { mode: 'nat' }),
    // Spanning tree would keep a new guest off the net for seconds, and one bridge alone has no loops.
    element('bridge', { name: network.bridge, stp: 'off', delay: 0 }),
    element(
      'ip',
      { address: network.gateway, prefix: prefixOf(network.cidr) },
      element('dhcp', {}, ...withUniqueNames(network.leases).map(leaseElement)),
    ),
  );
}

/** A lease as it stands in `<dhcp>`. */
export function leaseElement({ mac, address, hostName }: NetworkDescription['leases'][number]): string {
  const lifetime = element('lease', { expiry: leaseHours, unit: 'hours' });
  return element('host', { mac, name: hostName, ip: address }, lifetime);
}

/** libvirt takes a name once a network; a second instance of the same name goes without, as DNS could not tell them apart. */
export function withUniqueNames(leases: readonly DesiredLease[]): NetworkDescription['leases'] {
  const taken = new Set<string>();
  return leases.map(({ mac, address, hostName }) => {
    const name = hostName.toLowerCase();
    const isFree = name !== '' && !taken.has(name);
    taken.add(name);
    return { mac, address, hostName: isFree ? name : undefined };
  });
}

/** Reads network XML; undefined when the network is not of ours. */
export function readNetworkXml(xml: string): NetworkDescription | undefined {
  const network = parseXml(xml);
  const mark = childAt(network, 'metadata', 'network');
  const record = recordOf(mark?.attributes ?? {});
  if (record === undefined) return undefined;
  const ip = childAt(network, 'ip');
  return {
    name: childAt(network, 'name')?.text ?? '',
    record,
    bridge: childAt(network, 'bridge')?.attributes.name ?? '',
    gateway: ip?.attributes.address ?? '',
    prefix: Number(ip?.attributes.prefix ?? 0),
    leases: childrenOf(childAt(ip, 'dhcp'), 'host').map(leaseOf),
    keepsake: keepsakeOf(mark?.text ?? ''),
  };
}

/** Networks of earlier versions have none. */
function keepsakeOf(text: string): Record<string, unknown> {
  try {
    return JSON.parse(text);
  } catch {
    return {};
  }
}

function recordOf({ cloud, id = '', generation }: XmlElement['attributes']): NetworkRecord | undefined {
  const number = Number(generation);
  if (cloud === undefined || !isId('network', id) || !Number.isSafeInteger(number)) return undefined;
  return { cloudId: cloud, id, generation: number };
}

function leaseOf({ attributes }: XmlElement): NetworkDescription['leases'][number] {
  return { mac: (attributes.mac ?? '').toLowerCase(), address: attributes.ip ?? '', hostName: attributes.name };
}

export const prefixOf = (cidr: string): number => Number(cidr.split('/')[1]);
