import assert from 'node:assert/strict';
import { mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { newId } from '@virga/contract/ids';
import { parse } from 'yaml';
import { runCommand } from '../../run-command.ts';
import { createSeed, seedFiles } from './seed-image.ts';

const nic = (number: number) => ({
  id: newId('networkInterface'),
  networkId: newId('network'),
  mac: `52:54:00:00:00:0${number}`,
  address: `10.0.0.${number}`,
});
const instance = {
  id: newId('instance'),
  nics: [nic(1), nic(2)],
  seed: {
    hostName: 'web-1',
    publicKeys: ['ssh-ed25519 AAAA "me": #1', 'ssh-rsa BBBB'],
    userData: Buffer.from('#!/bin/sh\necho \u00e9\n').toString('base64'),
  },
};

test('the seed names the instance, its host name, its keys and its cards; user data stays as it was written', () => {
  const files = seedFiles(instance);
  assert.deepEqual(parse(files['meta-data']), {
    'instance-id': instance.id,
    'local-hostname': 'web-1',
    'public-keys': instance.seed.publicKeys,
  });
  assert.equal(files['user-data'].toString(), '#!/bin/sh\necho \u00e9\n');
  const { version, ethernets } = parse(files['network-config']);
  assert.equal(version, 2);
  assert.deepEqual(ethernets.eth0, { match: { macaddress: '52:54:00:00:00:01' }, 'set-name': 'eth0', dhcp4: true });
  assert.equal(ethernets.eth1['dhcp4-overrides']['use-routes'], false, 'one default route');
});

test('what YAML 1.1, as cloud-init reads it, would take for a number or a truth value is quoted', () => {
  const odd = {
    ...instance,
    nics: [{ ...nic(1), mac: '52:54:00:12:34:56' }],
    seed: { ...instance.seed, hostName: 'on' },
  };
  const files = seedFiles(odd);
  const asCloudInit = (text: string) => parse(text, { version: '1.1' });
  assert.equal(asCloudInit(files['network-config']).ethernets.eth0.match.macaddress, '52:54:00:12:34:56');
  assert.equal(asCloudInit(files['meta-data'])['local-hostname'], 'on');
});

test('without keys and user data there are none, not empty ones', () => {
  const files = seedFiles({ ...instance, seed: { hostName: 'web-1', publicKeys: [], userData: null } });
  assert.ok(!('public-keys' in parse(files['meta-data'])));
  assert.equal(files['user-data'].length, 0);
});

test('the image carries the label and the files that guests look for, and is read by nobody else', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'virga-seed.'));
  t.after(() => rm(folder, { recursive: true }));
  const path = join(folder, 'seed.iso');
  await createSeed(path, instance);
  assert.deepEqual(await readdir(folder), ['seed.iso']);
  assert.equal((await stat(path)).mode & 0o777, 0o600);
  assert.match(await runCommand('isoinfo', ['-d', '-i', path]), /^Volume id: cidata$/m);
  const content = await runCommand('isoinfo', ['-R', '-i', path, '-x', '/user-data']);
  assert.equal(content, seedFiles(instance)['user-data'].toString());
});
