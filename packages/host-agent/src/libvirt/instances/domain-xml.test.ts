import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { type DesiredInstance, instanceDefaults } from '@virga/contract/agent/desired';
import { sharedSource } from '../disks/disk-source.ts';
import { assertGolden, assertValid } from '../testing/golden.ts';
import { childAt, parseXml } from '../xml.ts';
import { readMetadataElement, recordOf } from './domain-metadata.ts';
import { type DomainSpec, domainXml } from './domain-xml.ts';

const desired: DesiredInstance = {
  ...instanceDefaults,
  id: 'i-0123456789abcdef0',
  cloudId: '5a0e8f6e-6f0e-4a57-9f5f-3f1f6a1d7c11',
  projectId: 'proj-0123456789abcdef0',
  name: 'web-1',
  uuid: '0f9a3a34-6c50-4d5f-9d7b-3f0b7f4f1d11',
  domainName: 'virga-i-0123456789abcdef0',
  generation: 3,
  vcpus: 1,
  maxVcpus: 1,
  memoryMib: 512,
  maxMemoryMib: 512,
  firmware: 'bios',
  rootDisk: { id: 'vol-0123456789abcdef0', imageId: 'ami-0123456789abcdef0', sizeBytes: 10 * 1024 ** 3 },
  nics: [
    {
      id: 'eni-0123456789abcdef0',
      networkId: 'net-0123456789abcdef0',
      mac: '52:54:00:12:34:56',
      address: '192.168.77.10',
    },
  ],
  seed: { hostName: 'web-1', publicKeys: ['ssh-ed25519 AAAA me'], userData: 'c2VjcmV0' },
  power: { state: 'running' },
  reboot: null,
};

const cloned = (format: 'qcow2' | 'raw') => ({
  path: '/srv/i/root.qcow2',
  format: 'qcow2' as const,
  base: sharedSource({ path: '/srv/images/ami/image', format }),
});

const spec = (changes: Partial<DesiredInstance> = {}, host: Partial<DomainSpec['host']> = {}): DomainSpec => ({
  desired: { ...desired, ...changes },
  record: recordOf({ ...desired, ...changes }, null),
  files: {
    rootDisk: '/srv/i/root.qcow2',
    seed: '/srv/i/seed.iso',
    consoleLog: '/srv/i/console.log',
    nvram: '/srv/i/nvram',
  },
  rootDisk: cloned('qcow2'),
  volumes: new Map(
    (changes.volumes ?? []).map(({ id }) => [id, { path: `/srv/volumes/${id}/disk.qcow2`, format: 'qcow2' }]),
  ),
  disc: null,
  networkNames: new Map([['net-0123456789abcdef0', 'virga-default']]),
  host: { arch: 'x86_64', acceleration: 'kvm', vhostNet: true, directIo: true, ...host },
});

const installing: Partial<DesiredInstance> = {
  cdrom: { imageId: 'ami-0123456789abcdef1' },
  bootOrder: ['disk', 'cdrom'],
};
const devices: Partial<DesiredInstance> = {
  vcpus: 2,
  maxVcpus: 2,
  maxMemoryMib: 1024,
  volumes: [{ id: 'vol-0123456789abcdef1', target: 'vdc', readOnly: false }],
};
const secondNic = { ...desired.nics[0]!, id: 'eni-0123456789abcdef1' as const, mac: '52:54:00:12:34:57' };

const burstLimits = { bytesPerSecond: 10_000_000, burstBytesPerSecond: 50_000_000, burstSeconds: 20 };

/** Two nodes with hyper-threads: CPU 0 is the host's, 3 and 7 are somebody's. */
const layout = {
  online: [0, 1, 2, 3, 4, 5, 6, 7],
  isolated: [],
  nodes: new Map([
    [0, [0, 1, 4, 5]],
    [1, [2, 3, 6, 7]],
  ]),
};
const divided: DomainSpec['host']['cpus'] = {
  division: { layout, pools: { reserved: [0], dedicated: [3, 7] } },
  weights: { usual: 100, highest: 10_000 },
  guestModel: null,
};
const guestModel = {
  name: 'Haswell-noTSX',
  vendor: 'Intel',
  features: [{ name: 'pdpe1gb', policy: 'require' } as const, { name: 'x2apic', policy: 'disable' } as const],
};
const tuned = { ...instanceDefaults.cpu, shares: 200, capPercent: 50 };

const goldens: Record<string, DomainSpec> = {
  'dedicated-cpus': spec(
    {
      ...{ vcpus: 2, maxVcpus: 4 },
      cpu: { policy: 'dedicated', hostCpus: [3, 7], node: 1, shares: null, capPercent: null },
      rootDisk: { ...desired.rootDisk, driver: { ioThread: true } },
    },
    { cpus: divided },
  ),
  'shared-cpus-of-a-node': spec({ cpu: { ...tuned, policy: 'numa', hostCpus: [], node: 1 } }, { cpus: divided }),
  'common-cpu-model': spec(
    { maxMemoryMib: 1024 },
    { cpus: { ...divided, division: { layout, pools: { reserved: [], dedicated: [] } }, guestModel } },
  ),
  'bios-kvm': spec(),
  'uefi-four-processors': spec({ vcpus: 4, maxVcpus: 4, firmware: 'uefi' }),
  'emulated-without-direct-io': spec({}, { acceleration: 'tcg', directIo: false, vhostNet: false }),
  'arm-raw-image': { ...spec({}, { arch: 'aarch64' }), rootDisk: cloned('raw') },
  'no-network': spec({ nics: [] }),
  'install-from-disc': {
    ...spec(installing),
    rootDisk: { path: '/srv/i/root.qcow2', format: 'qcow2' },
    disc: '/srv/images/iso/image',
  },
  'arm-with-drive': spec({ cdrom: { imageId: null } }, { arch: 'aarch64' }),
  'secure-boot-and-tpm': spec({ firmware: 'uefi-secure', tpm: true }, { acceleration: 'tcg', vhostNet: false }),
  'emulated-devices': { ...spec({ ...installing, ...devices, hardware: 'emulated' }), disc: '/srv/images/iso/image' },
  'legacy-devices': { ...spec({ ...installing, ...devices, hardware: 'legacy' }), disc: '/srv/images/iso/image' },
  'volumes-and-limits': spec({
    rootDisk: { ...desired.rootDisk, limits: { iops: 300 } },
    volumes: [
      { id: 'vol-0123456789abcdef1', target: 'vdc', readOnly: false, limits: burstLimits },
      { id: 'vol-0123456789abcdef2', target: 'vdd', readOnly: true },
    ],
    nics: desired.nics.map((nic) => ({ ...nic, limits: { inboundBytesPerSecond: 1_250_000, burstBytes: 65_536 } })),
  }),
  'disk-drivers': spec({
    rootDisk: { ...desired.rootDisk, driver: { cache: 'directsync', aio: 'io_uring', ioThread: true } },
    volumes: [
      { id: 'vol-0123456789abcdef1', target: 'vdc', readOnly: false, driver: { cache: 'writethrough' } },
      {
        id: 'vol-0123456789abcdef2',
        target: 'vde',
        readOnly: false,
        driver: { aio: 'threads', discard: 'ignore', ioThread: true },
      },
    ],
  }),
  watchdog: spec({ watchdog: 'reset' }),
  'network-boot': spec({ bootOrder: ['network', 'disk'], nics: [...desired.nics, secondNic] }),
  'room-to-grow-emulated': spec({ maxVcpus: 4, maxMemoryMib: 1025 }, { acceleration: 'tcg', vhostNet: false }),
  'huge-pages': spec({ memoryBacking: { hugePageKib: 2048, mergeable: false } }),
  'never-merged': spec({ memoryBacking: { hugePageKib: null, mergeable: false } }),
  'room-to-grow-kvm': spec({ vcpus: 2, maxVcpus: 3, maxMemoryMib: 2048 }),
};

for (const [name, golden] of Object.entries(goldens)) {
  test(`the domain of ${name} is as it was, and libvirt's schema takes it`, async () => {
    const path = join(import.meta.dirname, 'golden', `${name}.xml`);
    assertGolden(path, domainXml(golden));
    await assertValid(path, 'domain');
  });
}

test('libvirt’s schema is really asked', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'virga-domain-xml.'));
  t.after(() => rm(folder, { recursive: true }));
  const path = join(folder, 'broken.xml');
  await writeFile(path, domainXml(spec()).replaceAll('vcpu', 'vcpux'));
  await assert.rejects(assertValid(path, 'domain'));
});

test('names with characters of XML stay what they are', () => {
  const name = `<web> & "it's"`;
  const xml = parseXml(domainXml(spec({ name })));
  assert.equal(childAt(xml, 'title')?.text, name);
  assert.equal(childAt(xml, 'metadata', 'instance')?.attributes.name, name);
});

test('the metadata gives the desired instance back, without its user data', () => {
  const text = domainXml(spec());
  const element = /<virga:instance[\s\S]*<\/virga:instance>/.exec(text)?.[0] ?? '';
  const record = readMetadataElement(element);
  assert.deepEqual(record?.desired, { ...desired, seed: { ...desired.seed, userData: null } });
  assert.equal(record?.generation, 3);
  assert.ok(!text.includes('c2VjcmV0'));
});

test('metadata that is not whole counts as somebody else’s', () => {
  const whole = /<virga:instance[\s\S]*<\/virga:instance>/.exec(domainXml(spec()))?.[0] ?? '';
  assert.ok(readMetadataElement(whole));
  const broken = [
    whole.replace(/cloud='[^']*'/, "cloud='another'"),
    whole.replace("generation='3'", "generation='x'"),
    whole.replace(/id='i-[^']*'/, "id='i-other'"),
    whole.replace('&quot;', ''),
    '<virga:instance/>',
    'no element',
  ];
  for (const element of broken) assert.equal(readMetadataElement(element), undefined, element);
});

test('a card on a network that nobody knows is a bug, not XML', () => {
  assert.throws(() => domainXml({ ...spec(), networkNames: new Map() }), RangeError);
});
