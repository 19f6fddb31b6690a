import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { settingsFromPort } from '../up/server-phase.ts';
import { type Folders, foldersOf } from './folders.ts';
import { parseListen, readServerSettings, settingsPath, writeServerSettings } from './server-settings.ts';

function place(t: TestContext): Folders {
  const folder = mkdtempSync(join(tmpdir(), 'settings-'));
  t.after(() => rmSync(folder, { recursive: true }));
  return foldersOf(folder);
}

test('what is given goes before what is kept, and that before the defaults', async (t) => {
  const folders = place(t);
  await writeServerSettings(folders, { ...readServerSettings(folders), listen: '0.0.0.0:9000', logLevel: 'warn' });
  const settings = readServerSettings(folders, { logLevel: 'debug', acceleration: undefined });
  assert.deepEqual(settings, {
    listen: '0.0.0.0:9000',
    libvirtSocket: '/run/libvirt/libvirt-sock',
    acceleration: 'auto',
    storage: join(folders.state, 'storage'),
    logLevel: 'debug',
    hostName: hostname(),
    usagePeriodSeconds: 60,
    imageNetworks: [],
    imageMaximumGib: 128,
  });
});

test('a file that cannot be used is refused with what is wrong in it', (t) => {
  const folders = place(t);
  const refused: [text: string, detail: RegExp][] = [
    ['{', /is no JSON/],
    ['{"listen":"nowhere"}', /"nowhere" for listen, which has to be an address/],
    ['{"acceleration":"xen"}', /"xen" for acceleration, which has to be one of auto, kvm, tcg/],
    ['{"storage":"here"}', /"here" for storage, which has to be an absolute path/],
    ['{"usagePeriodSeconds":1}', /1 for usagePeriodSeconds, which has to be a number of seconds from 10 to 3600, or 0/],
    ['{"imageNetworks":["10.0.0.0/40"]}', /for imageNetworks, which has to be a list of networks/],
    ['{"imageMaximumGib":0}', /0 for imageMaximumGib, which has to be a number from 1/],
    ['{"colour":"red"}', /colour, which is no setting/],
  ];
  for (const [text, detail] of refused) {
    writeFileSync(settingsPath(folders), text);
    assert.throws(() => readServerSettings(folders), { name: 'InvalidArgument', detail });
  }
});

test('an option that cannot be used is named, and not the file', (t) => {
  const folders = place(t);
  const detail = '--listen cannot be "nowhere".';
  assert.throws(() => readServerSettings(folders, { listen: 'nowhere' }), { name: 'InvalidArgument', detail });
  const socket = { libvirtSocket: 'here' };
  assert.throws(() => readServerSettings(folders, socket), { detail: /^--libvirt-socket cannot be "here"/ });
});

test('addresses to listen on are read, also those of IPv6', () => {
  assert.deepEqual(parseListen('127.0.0.1:8470'), { host: '127.0.0.1', port: 8470 });
  assert.deepEqual(parseListen('[::1]:0'), { host: '::1', port: 0 });
  for (const text of ['8470', '::1:80', 'host:', 'host:70000', 'a b:1']) {
    assert.throws(() => parseListen(text), { name: 'InvalidArgument' });
  }
});

test('another port keeps the address that was set up', async (t) => {
  const folders = place(t);
  assert.deepEqual(settingsFromPort(folders, undefined), {});
  assert.deepEqual(settingsFromPort(folders, 9000), { listen: '127.0.0.1:9000' });
  await writeServerSettings(folders, readServerSettings(folders, { listen: '[::]:8470' }));
  assert.deepEqual(settingsFromPort(folders, 9000), { listen: '[::]:9000' });
});
