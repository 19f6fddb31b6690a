import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type DesiredInstance, instanceDefaults } from '@virga/contract/agent/desired';
import type { FoundNetwork } from '../networks/network-names.ts';
import { identityLines } from './fork-identity.ts';

const desired: DesiredInstance = {
  ...instanceDefaults,
  bootOrder: ['disk'],
  volumes: [],
  overlay: [],
  id: 'i-0123456789abcdef0',
  cloudId: 'cloud',
  projectId: 'proj-00000000000000001',
  name: 'web',
  uuid: '',
  domainName: 'web',
  generation: 1,
  vcpus: 1,
  maxVcpus: 1,
  memoryMib: 256,
  maxMemoryMib: 256,
  firmware: 'bios',
  rootDisk: { id: 'vol-00000000000000001', imageId: 'ami-00000000000000001', sizeBytes: 1 },
  nics: [
    {
      id: 'eni-00000000000000001',
      networkId: 'net-00000000000000001',
      mac: '52:54:00:12:34:56',
      address: '10.77.0.10',
    },
  ],
  seed: { hostName: 'web', publicKeys: ['ssh-ed25519 AAAA me'], userData: null },
  power: { state: 'running' },
  reboot: null,
};
const networks = new Map([
  ['net-00000000000000001', { defined: { gateway: '10.77.0.1', prefix: 24 } } as FoundNetwork],
]);
const now = new Date('2026-03-01T12:00:00.500Z');

test('a copy is told one thing a line', () => {
  assert.equal(
    identityLines(desired, networks, now, Buffer.alloc(64, 7)),
    `time 1772366400
random ${Buffer.alloc(64, 7).toString('base64')}
instance-id i-0123456789abcdef0
host-name web
public-key ssh-ed25519 AAAA me
card 52:54:00:12:34:56 10.77.0.10/24 10.77.0.1 10.77.0.1
`,
  );
});

test('a value cannot pass for another line, and each copy is told other random bytes', () => {
  const seed = { hostName: 'web', publicKeys: ['ssh-ed25519 AAAA\nhost-name other'], userData: 'IyEK' };
  const lines = () => identityLines({ ...desired, seed }, networks, now).split('\n');
  assert.deepEqual(
    lines().filter((line) => line.startsWith('host-name')),
    ['host-name web'],
  );
  assert.ok(lines().includes('user-data'));
  assert.notEqual(lines()[1], lines()[1]);
  assert.equal(Buffer.from(lines()[1]!.split(' ')[1]!, 'base64').length, 64);
});
