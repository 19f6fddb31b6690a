// What the control plane asks of a host: whole desired objects, never commands. Each carries the cloud it belongs to,
// so that an agent touches nothing of somebody else's, and a generation, so that a late request is refused.
import { type Static, Type } from 'typebox';
import { Check } from 'typebox/value';
import { IdSchema } from '../ids.ts';

export const DesiredNic = Type.Object({
  id: IdSchema('networkInterface'),
  networkId: IdSchema('network'),
  mac: Type.String(),
  address: Type.String({ description: 'IPv4 without prefix length, leased to this MAC' }),
});
export type DesiredNic = Static<typeof DesiredNic>;

/** Power: running, or stopped by ACPI until `forceAt` (UTC), then cut off. */
export const DesiredPower = Type.Union([
  Type.Object({ state: Type.Literal('running') }),
  Type.Object({ state: Type.Literal('stopped'), forceAt: Type.String() }),
]);
export type DesiredPower = Static<typeof DesiredPower>;

export const DesiredInstance = Type.Object({
  id: IdSchema('instance'),
  cloudId: Type.String(),
  projectId: IdSchema('project'),
  name: Type.String(),
  /** Domain UUID, chosen by the control plane before anything exists. */
  uuid: Type.String(),
  /** Domain name, unique on the host. */
  domainName: Type.String(),
  generation: Type.Integer(),
  vcpus: Type.Integer(),
  memoryMib: Type.Integer(),
  firmware: Type.Union([Type.Literal('bios'), Type.Literal('uefi')]),
  rootDisk: Type.Object({
    id: IdSchema('volume'),
    imageId: IdSchema('image'),
    sizeBytes: Type.Integer({ description: 'at least the virtual size of the image' }),
  }),
  nics: Type.Array(DesiredNic),
  seed: Type.Object({
    hostName: Type.String(),
    publicKeys: Type.Array(Type.String()),
    userData: Type.Union([Type.String({ description: 'base64' }), Type.Null()]),
  }),
  power: DesiredPower,
  /** The last reboot that was asked for. An agent that has done this token does not do it again. */
  reboot: Type.Union([Type.Object({ token: Type.String(), hard: Type.Boolean() }), Type.Null()]),
});
export type DesiredInstance = Static<typeof DesiredInstance>;

/** What is enough to remove an instance, even when its domain is gone. */
export type InstanceIdentity = Pick<DesiredInstance, 'id' | 'cloudId' | 'uuid' | 'domainName' | 'nics'>;

export const DesiredLease = Type.Object({ mac: Type.String(), address: Type.String(), hostName: Type.String() });
export type DesiredLease = Static<typeof DesiredLease>;

export const DesiredNetwork = Type.Object({
  id: IdSchema('network'),
  cloudId: Type.String(),
  uuid: Type.String(),
  /** Name of the libvirt network. */
  name: Type.String(),
  generation: Type.Integer(),
  kind: Type.Literal('nat'),
  cidr: Type.String(),
  gateway: Type.String(),
  /** Linux bridge, at most 15 characters. */
  bridge: Type.String(),
  leases: Type.Array(DesiredLease),
});
export type DesiredNetwork = Static<typeof DesiredNetwork>;

export const DesiredImage = Type.Object({
  id: IdSchema('image'),
  cloudId: Type.String(),
  generation: Type.Integer(),
  source: Type.Object({ kind: Type.Literal('file'), path: Type.String() }),
  format: Type.Union([Type.Literal('qcow2'), Type.Literal('raw')]),
});
export type DesiredImage = Static<typeof DesiredImage>;

/** True for a well-formed desired instance, such as one read back from a domain's metadata. */
export function isDesiredInstance(value: unknown): value is DesiredInstance {
  return Check(DesiredInstance, value);
}
