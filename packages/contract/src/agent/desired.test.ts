import assert from 'node:assert/strict';
import { test } from 'node:test';
import { instanceDefaults, readDesiredInstance } from './desired.ts';

/** As the first version wrote it into the metadata of domains. */
const ofFirstVersion = {
  id: 'i-0123456789abcdef0',
  cloudId: '5a0e8f6e-6f0e-4a57-9f5f-3f1f6a1d7c11',
  projectId: 'proj-0123456789abcdef0',
  name: 'web',
  uuid: '0f9a3a34-6c50-4d5f-9d7b-3f0b7f4f1d11',
  domainName: 'web.i-0123456789abcdef0',
  generation: 3,
  vcpus: 2,
  memoryMib: 512,
  firmware: 'bios',
  rootDisk: { id: 'vol-0123456789abcdef0', imageId: 'ami-0123456789abcdef0', sizeBytes: 1024 },
  nics: [],
  seed: { hostName: 'web', publicKeys: [], userData: null },
  power: { state: 'running' },
  reboot: { token: 'once', hard: true },
};

test('a record of the first version is read as what it meant', () => {
  assert.deepEqual(readDesiredInstance(ofFirstVersion), {
    ...instanceDefaults,
    ...ofFirstVersion,
    maxVcpus: 2,
    maxMemoryMib: 512,
    reboot: { token: 'once', how: 'reset' },
  });
});

test('what is no record is none', () => {
  for (const value of [null, 'text', {}, { ...ofFirstVersion, vcpus: 'two' }, { ...ofFirstVersion, power: null }]) {
    assert.equal(readDesiredInstance(value), undefined, JSON.stringify(value));
  }
});
