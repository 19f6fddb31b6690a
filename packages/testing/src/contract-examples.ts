// One well-formed example of each resource, for tests that care about some of its fields only.

import type { ForeignDomain } from '@virga/contract/agent/foreign';
import type { HostCheckReport, HostCheckResult } from '@virga/contract/agent/host-checks';
import type { Event } from '@virga/contract/rest/events';
import type { CpuBaseline, HostCpuReport } from '@virga/contract/rest/host-cpus';
import type { HostDiskReport } from '@virga/contract/rest/host-disks';
import type { HostMemoryReport } from '@virga/contract/rest/host-memory';
import type { Host, InstanceType } from '@virga/contract/rest/hosts';
import type { ApiKey, Caller, Membership, Project, User } from '@virga/contract/rest/identity';
import type { Image } from '@virga/contract/rest/images';
import type { Guest } from '@virga/contract/rest/instance-guest';
import type { Schedule } from '@virga/contract/rest/instance-schedules';
import type { Instance } from '@virga/contract/rest/instances';
import type { KeyPair } from '@virga/contract/rest/key-pairs';
import type { Network } from '@virga/contract/rest/networks';
import type { Operation } from '@virga/contract/rest/operations';
import type { WarmImage } from '@virga/contract/rest/warm-images';

const createdAt = '2026-03-01T12:00:00.000Z';
/** Two hours after every example was made. */
export const exampleNowMs = Date.parse('2026-03-01T14:00:00.000Z');

const projectId = 'proj-00000000000000001';

export const anInstance = (fields: Partial<Instance> = {}): Instance => ({
  id: 'i-00000000000000001',
  projectId,
  name: 'web',
  description: '',
  tags: {},
  deleteProtection: false,
  autostart: 'restore',
  crashPolicy: 'restart',
  expiresAt: null,
  expiryAction: null,
  noMerge: false,
  state: 'running',
  stateReason: null,
  desiredState: 'running',
  observedState: 'running',
  generation: 1,
  type: 'small',
  vcpus: 1,
  maxVcpus: 1,
  memoryMib: 256,
  maxMemoryMib: 256,
  hugePageKib: null,
  mergesMemory: true,
  observedVcpus: 1,
  observedMemoryMib: 256,
  diskBytes: 1_073_741_824,
  imageId: 'ami-00000000000000001',
  imageName: 'starter',
  hardware: 'virtio',
  firmware: 'bios',
  tpm: false,
  watchdog: null,
  bootOrder: ['disk'],
  cpu: { policy: 'shared', hostCpus: [], node: null, shares: null, capPercent: null },
  cdrom: null,
  loginUser: 'virga',
  keyPairs: ['laptop'],
  hostId: 'host-00000000000000001',
  hostName: 'alpha',
  origin: 'launched',
  domainName: 'virga-web-00000001',
  networkInterfaces: [
    {
      id: 'eni-00000000000000001',
      networkId: 'net-00000000000000001',
      networkName: 'default',
      mac: '52:54:00:00:00:01',
      address: '10.77.0.10',
      state: 'attached',
      limits: null,
    },
  ],
  rootDiskId: 'vol-00000000000000009',
  rootDiskLimits: null,
  rootDiskDriver: null,
  rootPoolId: null,
  rootPoolName: null,
  rootDiskMove: null,
  volumes: [
    {
      id: 'vol-00000000000000001',
      name: 'data',
      sizeBytes: 10_737_418_240,
      target: 'vdc',
      readOnly: false,
      state: 'attached',
      limits: { iops: 500 },
      driver: null,
    },
  ],
  launchPath: 'cold',
  createdAt,
  startedAt: createdAt,
  ...fields,
});

export const aSchedule = (fields: Partial<Schedule> = {}): Schedule => ({
  id: 'sched-00000000000000001',
  instanceId: 'i-00000000000000001',
  action: 'stop',
  cron: '0 18 * * mon-fri',
  timeZone: 'UTC',
  nextRunAt: '2026-03-02T18:00:00.000Z',
  createdBy: 'admin',
  createdAt,
  ...fields,
});

export const anImage = (fields: Partial<Image> = {}): Image => ({
  id: 'ami-00000000000000001',
  projectId,
  name: 'starter',
  visibility: 'public',
  state: 'available',
  stateReason: null,
  kind: 'disk',
  format: 'qcow2',
  virtualSizeBytes: 268_435_456,
  fileSizeBytes: 24_117_248,
  sha256: 'ab'.repeat(32),
  defaultUser: 'virga',
  minimumMemoryMib: 64,
  warmable: true,
  origin: null,
  createdAt,
  ...fields,
});

export const aWarmImage = (fields: Partial<WarmImage> = {}): WarmImage => ({
  id: 'tmpl-00000000000000001',
  imageId: 'ami-00000000000000001',
  imageName: 'starter',
  hostId: 'host-00000000000000001',
  hostName: 'alpha',
  type: 'small',
  vcpus: 1,
  memoryMib: 256,
  diskBytes: 1_073_741_824,
  pool: 1,
  waiting: 1,
  state: 'ready',
  stateReason: null,
  createdAt,
  ...fields,
});

export const aNetwork = (fields: Partial<Network> = {}): Network => ({
  id: 'net-00000000000000001',
  projectId,
  name: 'default',
  kind: 'nat',
  visibility: 'public',
  cidr: '10.77.0.0/24',
  gateway: '10.77.0.1',
  addressCount: 253,
  leasedCount: 2,
  reserved: [],
  state: 'active',
  stateReason: null,
  createdAt,
  ...fields,
});

export const aHost = (fields: Partial<Host> = {}): Host => ({
  id: 'host-00000000000000001',
  name: 'alpha',
  driver: 'simulated',
  state: 'ready',
  stateReason: null,
  facts: null,
  reservedCpus: [],
  allocatedVcpus: 2,
  allocatedMemoryMib: 512,
  schedulableVcpus: 16,
  schedulableMemoryMib: 16_384,
  vcpuOvercommit: null,
  memoryOvercommit: null,
  memoryFloorMib: null,
  ksmScope: null,
  hugePages: [],
  instanceCount: 2,
  lastSeenAt: createdAt,
  createdAt,
  ...fields,
});

export const aHostDiskReport = (fields: Partial<HostDiskReport> = {}): HostDiskReport => ({
  hostId: 'host-00000000000000001',
  hostName: 'alpha',
  disks: [
    {
      name: 'nvme0n1',
      id: 'eui.0025385b71b0a1f2',
      class: 'nvme',
      sizeBytes: 1_000_204_886_016,
      vendor: null,
      model: 'Samsung SSD 980 PRO 1TB',
      rotational: false,
      scheduler: { available: ['none', 'mq-deadline'], chosen: 'none' },
      writeCache: 'write back',
      controller: null,
      usedBy: ['dm-0'],
      protection: {
        verdict: 'volatile',
        why: 'nvme0n1 has a volatile write cache, and reports nothing that would keep it through a power cut.',
        read: [{ from: '/sys/block/nvme0n1/queue/write_cache', value: 'write back' }],
        allowsWriteback: false,
      },
    },
  ],
  storage: { path: '/var/lib/virga', devices: ['nvme0n1'], through: ['dm-0'], fileSystem: 'ext4', why: null },
  allowedWriteback: [],
  ...fields,
});

export const aHostMemoryReport = (fields: Partial<HostMemoryReport> = {}): HostMemoryReport => {
  const sums = {
    guests: 1,
    promisedKib: 262_144,
    currentKib: 262_144,
    residentKib: 131_072,
    hugePagesKib: 0,
    templateSavedKib: 0,
    mergedKib: 65_536,
    mergeSavedKib: 32_768,
  };
  const project = { projectId, projectName: 'default' } as const;
  return {
    hostId: 'host-00000000000000001',
    hostName: 'alpha',
    totalKib: 16_777_216,
    availableKib: 8_388_608,
    swapUsedKib: 0,
    floorMib: 256,
    memoryOvercommit: 1,
    ksm: { running: true, pagesToScan: 100, fullScans: 7, sharedKib: 32_768, savedKib: 32_768 },
    ksmScope: 'project',
    mergingProject: { id: projectId, name: 'default' },
    hugePages: [{ sizeKib: 2048, total: 64, free: 64, promised: 0 }],
    relievingSince: null,
    ...sums,
    projects: [{ ...project, ...sums }],
    instances: [
      {
        id: 'i-00000000000000001',
        name: 'web',
        ...project,
        promisedKib: 262_144,
        currentKib: 262_144,
        residentKib: 131_072,
        usableKib: 100_000,
        hugePagesKib: 0,
        templateSharedKib: 0,
        templateSavedKib: 0,
        mergedKib: 65_536,
        mergeSavedKib: 32_768,
        mergeable: true,
        hasBalloon: true,
      },
    ],
    ...fields,
  };
};

const aCheck: HostCheckResult = {
  name: 'free-disk',
  title: 'Free disk',
  verdict: 'ok',
  seen: '70.0 of 100.0 GiB are free in /var/lib/virga.',
  why: 'Guests whose disks cannot grow any more are stopped in their tracks.',
  readings: [{ from: 'space of /var/lib/virga', value: '70.0 of 100.0 GiB free' }],
  repair: [],
  todo: null,
  repaired: false,
};

export const aHostCheckReport = (...more: Partial<HostCheckResult>[]): HostCheckReport => ({
  checks: [
    aCheck,
    {
      ...aCheck,
      name: 'swappiness',
      title: 'Swappiness',
      verdict: 'advice',
      seen: 'It is 60, which suits a desktop; hosts of guests do well with 10.',
      why: 'The higher it is, the sooner idle guests are swapped out for file cache.',
      readings: [{ from: '/proc/sys/vm/swappiness', value: '60' }],
      repair: [
        {
          kind: 'value',
          path: '/proc/sys/vm/swappiness',
          now: '60',
          after: '10',
          why: 'Guests stay in memory longer than file cache.',
        },
      ],
    },
    ...more.map((fields) => ({ ...aCheck, ...fields })),
  ],
});

export const aForeignDomain = (fields: Partial<ForeignDomain> = {}): ForeignDomain => ({
  name: 'win10',
  uuid: '6f0f2a2e-6d43-4c8e-9f0b-000000000001',
  state: 'running',
  vcpus: 2,
  memoryMib: 4096,
  persistent: true,
  ...fields,
});

export const anInstanceType = (fields: Partial<InstanceType> = {}): InstanceType => ({
  name: 'small',
  vcpus: 1,
  memoryMib: 256,
  diskGib: 1,
  ...fields,
});

export const aKeyPair = (fields: Partial<KeyPair> = {}): KeyPair => ({
  id: 'key-00000000000000001',
  projectId,
  name: 'laptop',
  publicKey: 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f',
  fingerprint: 'SHA256:0000000000000000000000000000000000000000000',
  createdAt,
  ...fields,
});

export const anOperation = (fields: Partial<Operation> = {}): Operation => ({
  id: 'op-00000000000000001',
  kind: 'instance.launch',
  projectId,
  resourceId: 'i-00000000000000001',
  resourceName: 'web',
  state: 'succeeded',
  progressPercent: 100,
  message: 'done',
  error: null,
  requestedBy: 'admin',
  createdAt,
  startedAt: createdAt,
  finishedAt: createdAt,
  ...fields,
});

export const anEvent = (fields: Partial<Event> = {}): Event => ({
  cursor: '100-1',
  time: createdAt,
  category: 'audit',
  type: 'instance.launch',
  projectId,
  resourceId: 'i-00000000000000001',
  resourceName: 'web',
  actor: 'admin',
  message: 'admin asked to launch web',
  data: {},
  requestId: null,
  ...fields,
});

export const aProject = (fields: Partial<Project> = {}): Project => ({
  id: projectId,
  name: 'default',
  description: 'The first project',
  createdAt,
  ...fields,
});

export const aUser = (fields: Partial<User> = {}): User => ({
  id: 'user-00000000000000001',
  name: 'admin',
  cloudRole: 'admin',
  createdAt,
  ...fields,
});

export const aMembership = (fields: Partial<Membership> = {}): Membership => ({
  userId: 'user-00000000000000001',
  userName: 'admin',
  role: 'admin',
  ...fields,
});

export const anApiKey = (fields: Partial<ApiKey> = {}): ApiKey => ({
  accessKeyId: 'VKTESTTESTTESTTEST22',
  userId: 'user-00000000000000001',
  projectId,
  description: 'for tests',
  createdAt,
  expiresAt: null,
  ...fields,
});

export const aCaller = (fields: Partial<Caller> = {}): Caller => ({
  user: aUser(),
  project: aProject(),
  projectRole: 'admin',
  ...fields,
});

export const aGuest = (fields: Partial<Guest> = {}): Guest => ({
  agentVersion: '7.2.22',
  hostName: 'web',
  osId: 'debian',
  osName: 'Debian GNU/Linux 12 (bookworm)',
  kernel: '6.1.0-44-amd64',
  timeZone: 'UTC',
  users: [{ name: 'virga', since: createdAt }],
  interfaces: [{ name: 'eth0', mac: '52:54:00:00:00:01', addresses: ['10.77.0.10/24'] }],
  fileSystems: [{ mountPoint: '/', device: 'vda1', type: 'ext4', totalBytes: 1_073_741_824, usedBytes: 268_435_456 }],
  frozen: false,
  frozenUntil: null,
  ...fields,
});

export const aHostCpuReport = (fields: Partial<HostCpuReport> = {}): HostCpuReport => ({
  hostId: 'host-00000000000000001',
  hostName: 'alpha',
  sampleMs: 500,
  converged: true,
  cpus: [
    {
      ...{ id: 0, node: 0, socket: 0, core: 0, isolated: false },
      ...{ pool: 'shared', owner: null, vcpu: null, busyPercent: 12.5 },
    },
    {
      ...{ id: 1, node: 0, socket: 0, core: 1, isolated: false, pool: 'dedicated' },
      owner: { instanceId: 'i-00000000000000001', name: 'web', projectId },
      ...{ vcpu: 0, busyPercent: 98 },
    },
  ],
  guests: [
    {
      ...{ instanceId: 'i-00000000000000001', name: 'web', pid: 4000 },
      threads: [
        {
          ...{ tid: 4003, name: 'CPU 0/KVM', kind: 'vcpu', index: 0 },
          ...{ allowedCpus: [1], lastCpu: 1, busyPercent: 97.5 },
        },
        {
          ...{ tid: 4000, name: 'qemu-system-x86', kind: 'emulator', index: null },
          ...{ allowedCpus: [0], lastCpu: 0, busyPercent: 1.5 },
        },
        {
          ...{ tid: 4001, name: 'call_rcu', kind: 'emulator', index: null },
          ...{ allowedCpus: [0], lastCpu: 0, busyPercent: 0 },
        },
      ],
    },
  ],
  ...fields,
});

export const aCpuBaseline = (fields: Partial<CpuBaseline> = {}): CpuBaseline => ({
  model: null,
  baseline: {
    name: 'EPYC',
    vendor: 'AMD',
    features: [
      { name: 'umip', policy: 'require' },
      { name: 'rdseed', policy: 'disable' },
    ],
  },
  hosts: [{ hostId: 'host-00000000000000001', hostName: 'alpha', cpu: 'EPYC-Rome', canGive: null }],
  ...fields,
});
