import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import type { DesiredNetwork } from '@virga/contract/agent/desired';
import { assertGolden, assertValid } from '../testing/golden.ts';
import { networkXml, readNetworkXml } from './network-xml.ts';

const desired: DesiredNetwork = {
  id: 'net-0123456789abcdef0',
  cloudId: '5a0e8f6e-6f0e-4a57-9f5f-3f1f6a1d7c11',
  uuid: '0f9a3a34-6c50-4d5f-9d7b-3f0b7f4f1d11',
  name: 'virga-default',
  generation: 7,
  kind: 'nat',
  cidr: '192.168.77.0/24',
  gateway: '192.168.77.1',
  bridge: 'virga0',
  leases: [
    { mac: '52:54:00:12:34:56', address: '192.168.77.10', hostName: 'Web-1' },
    { mac: '52:54:00:12:34:57', address: '192.168.77.11', hostName: 'web-1' },
    { mac: '52:54:00:12:34:58', address: '192.168.77.12', hostName: '' },
  ],
  keepsake: { project: { name: 'a <project> & more' } },
};

for (const [name, network] of Object.entries({ leases: desired, 'no-leases': { ...desired, leases: [] } })) {
  test(`the network with ${name} is as it was, and libvirt's schema takes it`, async () => {
    const path = join(import.meta.dirname, 'golden', `${name}.xml`);
    assertGolden(path, networkXml(network));
    await assertValid(path, 'network');
  });
}

test('a network is read back as it was written, and the second instance of a name goes without', () => {
  const read = readNetworkXml(networkXml(desired));
  assert.deepEqual(read, {
    name: 'virga-default',
    record: { id: desired.id, cloudId: desired.cloudId, generation: 7 },
    bridge: 'virga0',
    gateway: '192.168.77.1',
    prefix: 24,
    leases: [
      { mac: '52:54:00:12:34:56', address: '192.168.77.10', hostName: 'web-1' },
      { mac: '52:54:00:12:34:57', address: '192.168.77.11', hostName: undefined },
      { mac: '52:54:00:12:34:58', address: '192.168.77.12', hostName: undefined },
    ],
    keepsake: desired.keepsake,
  });
});

test('a network without our mark, or with a broken one, is somebody else’s', () => {
  assert.equal(readNetworkXml('<network><name>default</name></network>'), undefined);
  assert.equal(readNetworkXml(networkXml(desired).replace("generation='7'", "generation='x'")), undefined);
  assert.equal(readNetworkXml(networkXml(desired).replace(desired.id, 'net-1')), undefined);
});
