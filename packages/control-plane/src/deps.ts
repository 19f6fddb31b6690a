// What modules get from the composition root: nothing here has behaviour.
import type { KsmScope } from '@virga/contract/rest/host-memory';
import type { Logger } from 'pino';
import type { AgentRegistry } from './agents/agent-registry.ts';
import type { Seal } from './modules/identity/seal.ts';
import type { Db } from './store/database.ts';
import type { Notifications } from './store/notifications.ts';

export type Clock = { now(): Date };
export const systemClock: Clock = { now: () => new Date() };

export type Settings = {
  /** vCPUs that may be promised for each thread of a host. */
  vcpuOvercommit: number;
  /** Memory that a host keeps for itself: the larger of the two. */
  hostReserveMib: number;
  hostReserveRatio: number;
  /** How many times over the rest of it may be promised. */
  memoryOvercommit: number;
  /** Available memory of a host below which nothing is started there and its guests are asked to do with less. */
  memoryFloorMib: number;
  /** Whose guests a host's kernel may merge equal pages of. */
  ksmScope: KsmScope;
  /** Disk space below which nothing is placed on a host: the larger of the two. */
  storageReserveBytes: number;
  storageReserveRatio: number;
  /**
   * How many instances of a host are worked on at the same time: one for each of its threads, at least two, and at most this
   * many. Starting more guests at once than there are threads ends no sooner, and all of them end late; after a restart of a
   * host, when all its guests start, that would keep the host busy for minutes without one that runs.
   */
  reconcileConcurrency: number;
  /** How often what is not as desired is looked for in the database, and how often hosts are asked what they have. */
  reconcilePeriodMs: number;
  resyncPeriodMs: number;
  factsPeriodMs: number;
  /** How often it is looked at whether a tuned host still is as it was tuned: a few reads of sysfs there. */
  tuningPeriodMs: number;
  /** How often it is written down what hosts and instances use; 0: never. */
  usagePeriodMs: number;
  /** Private networks that images may be downloaded from, such as of a mirror inside a company; CIDR. */
  imageNetworks: readonly string[];
  /** Of a file that is imported, of what is unpacked from it, and of what is made of it. */
  imageMaximumFileBytes: number;
  imageMaximumVirtualBytes: number;
  /** How long a download, and how long a conversion may take. */
  imageMaximumSeconds: number;
  /** The catalog file of an administrator, and the folder of keys that sign images; null: none. */
  imageCatalogPath: string | null;
  imageKeysPath: string | null;
  /** Addresses of this server and its database, which no download reaches. */
  ownAddresses: readonly string[];
};

export const defaultSettings: Settings = {
  vcpuOvercommit: 4,
  hostReserveMib: 512,
  hostReserveRatio: 0.05,
  memoryOvercommit: 1,
  memoryFloorMib: 256,
  ksmScope: 'project',
  storageReserveBytes: 1024 ** 3,
  storageReserveRatio: 0.02,
  reconcileConcurrency: 8,
  reconcilePeriodMs: 5_000,
  resyncPeriodMs: 60_000,
  factsPeriodMs: 15_000,
  tuningPeriodMs: 10_000,
  usagePeriodMs: 60_000,
  imageNetworks: [],
  imageMaximumFileBytes: 128 * 1024 ** 3,
  imageMaximumVirtualBytes: 2 * 1024 ** 4,
  imageMaximumSeconds: 6 * 3600,
  imageCatalogPath: null,
  imageKeysPath: null,
  ownAddresses: [],
};

export type Deps = {
  db: Db;
  notifications: Notifications;
  clock: Clock;
  log: Logger;
  settings: Settings;
  /** Random id of this database: what belongs to another cloud is never touched. */
  cloudId: string;
  agents: AgentRegistry;
  /** Opens what is sealed in the database. */
  seal: Seal;
};
