// All that a host has of any cloud, with what the control plane had it keep: enough to rebuild a lost database from.
import type { InstanceId, NetworkId } from '../ids.ts';
import type { DesiredInstance } from './desired.ts';
import type { HostKeepsake } from './host-keepsake.ts';
import type { ObservedImage, ObservedInstance } from './observed.ts';
import type { FoundPool } from './pools.ts';
import type { ObservedSnapshot } from './snapshots.ts';
import type { ObservedVolume } from './volumes.ts';

/** As it was applied last, without user data, and as it is now. */
export type FoundInstance = { desired: DesiredInstance; observed: ObservedInstance };

export type FoundNetwork = {
  id: NetworkId;
  cloudId: string;
  uuid: string;
  generation: number;
  gateway: string;
  prefix: number;
  bridge: string;
  leases: { mac: string; address: string }[];
  keepsake: Record<string, unknown>;
};

/** Files of an instance that was given back. */
export type ReleasedFiles = {
  id: InstanceId;
  cloudId: string;
  uuid: string;
  domainName: string;
  imageId: DesiredInstance['rootDisk']['imageId'];
};

export type Inventory = {
  instances: FoundInstance[];
  networks: FoundNetwork[];
  images: ObservedImage[];
  volumes: ObservedVolume[];
  pools: FoundPool[];
  snapshots: ObservedSnapshot[];
  released: ReleasedFiles[];
  /** What it was given to keep of itself, and of the cloud. */
  keepsakes: HostKeepsake[];
};
