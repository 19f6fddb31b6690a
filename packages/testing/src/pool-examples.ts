// Pools, volumes and volume types as a server would answer them, and those answers, for tests of what is made of them.
import type { Pool } from '@virga/contract/rest/pools';
import type { VolumeType } from '@virga/contract/rest/volume-types';
import type { Volume } from '@virga/contract/rest/volumes';

const createdAt = '2026-03-01T12:00:00.000Z';
const projectId = 'proj-00000000000000001';

export const aVolume = (fields: Partial<Volume> = {}): Volume => ({
  id: 'vol-00000000000000001',
  projectId,
  name: 'data',
  sizeBytes: 10_737_418_240,
  usedBytes: 1_073_741_824,
  poolId: 'pool-00000000000000001',
  poolName: 'local',
  type: null,
  format: 'qcow2',
  preallocation: 'off',
  encrypted: false,
  image: null,
  snapshot: null,
  limits: null,
  deletionProtection: false,
  scratch: false,
  state: 'available',
  stateReason: null,
  hostId: 'host-00000000000000001',
  hostName: 'alpha',
  attachment: null,
  move: null,
  generation: 1,
  createdAt,
  ...fields,
});

export const aPool = (fields: Partial<Pool> = {}): Pool => ({
  id: 'pool-00000000000000001',
  name: 'local',
  driver: 'directory',
  path: '/var/lib/virga',
  ceph: null,
  state: 'ready',
  stateReason: null,
  hosts: [
    {
      hostId: 'host-00000000000000001',
      hostName: 'alpha',
      isReady: true,
      reason: null,
      abilities: { fileSystem: 'xfs', reflink: true, directIo: true },
    },
  ],
  capacityBytes: 1_099_511_627_776,
  freeBytes: 824_633_720_832,
  allocatedBytes: 42_949_672_960,
  overcommit: null,
  lowSpacePercent: 10,
  isLow: false,
  isDefault: false,
  generation: 1,
  createdAt,
  ...fields,
});

const aVolumeType = (): VolumeType => ({ name: 'gold', pool: 'fast', limits: { iops: 5000 }, encrypted: true });

const changedPool = { pool: aPool(), operationId: 'op-00000000000000001' as const };

/** Of every route of pools and volume types. */
export const poolAnswers = {
  listPools: () => ({ items: [aPool()] }),
  getPool: () => aPool(),
  createPool: () => changedPool,
  updatePool: () => aPool(),
  deletePool: () => changedPool,
  listVolumeTypes: () => ({ items: [aVolumeType()] }),
  createVolumeType: () => aVolumeType(),
  deleteVolumeType: () => ({}),
};

/** Each command of pools and volume types, and what it prints as JSON. */
export const poolCommands = {
  'volume-types list': { argv: ['volume-types'], json: [aVolumeType()] },
  'volume-types create': {
    argv: ['volume-types', 'create', 'gold', '--pool', 'fast', '--iops', '5000', '--encrypted'],
    json: aVolumeType(),
  },
  'volume-types delete': {
    argv: ['volume-types', 'delete', 'gold', '--yes'],
    json: { name: 'gold', deleted: true },
  },
  'pools list': { argv: ['pools'], json: [aPool()] },
  'pools show': { argv: ['pools', 'show', 'local'], json: aPool() },
  'pools create': { argv: ['pools', 'create', 'fast', '--path', '/mnt/fast'], json: changedPool },
  'pools set': { argv: ['pools', 'set', 'local', '--overcommit', '2'], json: aPool() },
  'pools delete': {
    argv: ['pools', 'delete', 'local', '--yes'],
    json: [{ name: 'local', ...changedPool }],
  },
};

const changed = { volume: aVolume(), operationId: 'op-00000000000000001' as const };

/** Of every route of volumes. */
export const volumeAnswers = {
  listVolumes: () => ({ items: [aVolume()] }),
  getVolume: () => aVolume(),
  createVolume: () => changed,
  updateVolume: () => changed,
  resizeVolume: () => changed,
  moveVolume: () => changed,
  cancelVolumeMove: () => changed,
  deleteVolume: () => changed,
};

/** Each command of volumes, and what it prints as JSON. */
export const volumeCommands = {
  'volumes list': { argv: ['volumes'], json: [aVolume()] },
  'volumes show': { argv: ['volumes', 'show', 'data'], json: aVolume() },
  'volumes create': {
    argv: ['volumes', 'create', 'data', '--size', '10GiB', '--instance', 'web'],
    json: changed,
  },
  'volumes move': {
    argv: ['volumes', 'move', 'data', '--pool', 'local', '--format', 'raw', '--max-rate', '10M', '--wipe'],
    json: changed,
  },
  'volumes cancel-move': { argv: ['volumes', 'cancel-move', 'data'], json: changed },
  'volumes resize': {
    argv: ['volumes', 'resize', 'data', '--size', '20'],
    json: changed,
  },
  'volumes delete': {
    argv: ['volumes', 'delete', 'data', '--yes'],
    json: [{ name: 'data', ...changed }],
  },
  'volumes rename': {
    argv: ['volumes', 'rename', 'data', 'archive'],
    json: changed,
  },
  'volumes set': { argv: ['volumes', 'set', 'data', '--protect'], json: changed },
};
