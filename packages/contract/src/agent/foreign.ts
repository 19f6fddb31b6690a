// Domains of a host that are nobody's of ours: made with virsh or virt-manager, or given back. What an agent tells of them
// is what can be read without touching them.
import { type Static, Type } from 'typebox';
import { IdSchema } from '../ids.ts';
import type { Firmware } from './desired.ts';

export const ForeignDomain = Type.Object(
  {
    name: Type.String(),
    uuid: Type.String(),
    state: Type.Union([
      Type.Literal('running'),
      Type.Literal('paused'),
      Type.Literal('stopped'),
      Type.Literal('hibernated', { description: 'off, its memory saved by virsh managedsave' }),
    ]),
    vcpus: Type.Integer(),
    memoryMib: Type.Integer(),
    persistent: Type.Boolean({ description: 'false: it is gone once it stops, and cannot be adopted' }),
  },
  { $id: 'ForeignDomain' },
);
export type ForeignDomain = Static<typeof ForeignDomain>;

/** A card on a network of this cloud. */
export const ForeignNic = Type.Object({
  mac: Type.String(),
  networkId: IdSchema('network'),
  /** What the DHCP server of the network gives it; null when it gives it none. */
  address: Type.Union([Type.String(), Type.Null()]),
});
export type ForeignNic = Static<typeof ForeignNic>;

/** What has to be known of a domain to take it over. */
export type ForeignDomainDetails = ForeignDomain & {
  maxVcpus: number;
  maxMemoryMib: number;
  firmware: Firmware;
  /** Virtual size of the first disk; 0 when there is none, or it cannot be told. */
  diskBytes: number;
  nics: ForeignNic[];
};
