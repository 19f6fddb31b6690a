import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { InstanceId } from '@virga/contract/ids';
import { SimulatedCloud } from '@virga/testing/simulated-cloud';
import {
  awaitGuestCommand,
  executeInGuest,
  getGuest,
  getGuestFileStatus,
  readGuestFile,
  setGuestKeys,
  setGuestPassword,
  writeGuestFile,
} from './instance-guest.ts';

let cloud: SimulatedCloud;
let id: InstanceId;
before(async () => {
  cloud = await SimulatedCloud.start();
  await cloud.prepare();
  id = (await cloud.launch('web')).id;
});
after(() => cloud.close());

const base64 = (text: string) => Buffer.from(text).toString('base64');
const run = (command: string[], more = {}) => executeInGuest(cloud.deps, cloud.operator, id, { command, ...more });
const read = (path: string, piece = {}) => readGuestFile(cloud.deps, cloud.operator, id, { path, ...piece });
const write = (path: string, data: string, more = {}) =>
  writeGuestFile(cloud.deps, cloud.operator, id, { path, data: base64(data), ...more });

test('the guest tells of itself', async () => {
  const { hostName, interfaces, fileSystems, frozen, frozenUntil } = await getGuest(cloud.deps, cloud.operator, id);
  assert.deepEqual([hostName, frozen, frozenUntil], ['web', false, null]);
  const { networkInterfaces } = await cloud.instance(id);
  assert.deepEqual(interfaces[0]?.addresses, [`${networkInterfaces[0]?.address}/24`]);
  assert.equal(fileSystems[0]?.mountPoint, '/');
});

test('a command has output, an exit code, input and variables; one that takes long is waited for again', async () => {
  const { pid, ...echoed } = await run(['echo', 'a b', 'c']);
  assert.deepEqual(echoed, {
    exitCode: 0,
    stdout: base64('a b c\n'),
    stderr: '',
    truncated: false,
  });
  assert.equal((await run(['false'])).exitCode, 1);
  assert.equal((await run(['nothing-like-that'])).exitCode, 127);
  assert.equal((await run(['cat'], { input: base64('in') })).stdout, base64('in'));
  assert.equal((await run(['env'], { env: { A: '1' } })).stdout, base64('A=1\n'));
  const slow = await run(['sleep', '0.3'], { waitSeconds: 0 });
  assert.equal(slow.exitCode, null);
  assert.equal((await awaitGuestCommand(cloud.deps, cloud.operator, id, slow.pid, 0)).exitCode, null);
  assert.equal((await awaitGuestCommand(cloud.deps, cloud.operator, id, slow.pid, 5)).exitCode, 0);
  for (const told of [slow.pid, pid]) {
    await assert.rejects(awaitGuestCommand(cloud.deps, cloud.operator, id, told, 0), { name: 'GuestRefused' });
  }
});

test('a file is written and read in pieces', async () => {
  await write('/tmp/file', 'hello ', { mode: 0o600 });
  await write('/tmp/file', 'world', { offset: 6 });
  assert.deepEqual(await getGuestFileStatus(cloud.deps, cloud.operator, id, '/tmp/file'), {
    kind: 'file',
    sizeBytes: 11,
    mode: 0o600,
  });
  assert.deepEqual(await read('/tmp/file', { length: 5 }), { data: base64('hello'), endOfFile: false });
  assert.deepEqual(await read('/tmp/file', { offset: 6 }), { data: base64('world'), endOfFile: true });
  await write('/tmp/file', 'new');
  assert.equal((await read('/tmp/file')).data, base64('new'));
  await assert.rejects(read('/tmp/other'), { name: 'GuestRefused' });
});

test('who did what in a guest is told, and no secret of it', async () => {
  await setGuestPassword(cloud.deps, cloud.operator, id, { user: 'root', password: 'correct horse' });
  await setGuestKeys(cloud.deps, cloud.operator, id, { user: 'root', keys: ['ssh-ed25519 AAAA me'] });
  await run(['echo', 'told'], { input: base64('secret input'), env: { TOKEN: 'secret token' } });
  await write('/root/secret', 'secret content');
  const inside = cloud.host().insideOf(id);
  assert.deepEqual([inside.passwords.get('root'), inside.keys.get('root')], ['correct horse', ['ssh-ed25519 AAAA me']]);
  const rows = await cloud.deps.db.selectFrom('events').selectAll().where('resource_id', '=', id).execute();
  const of = (type: string) => rows.filter((row) => row.type === type).map(({ data }) => data);
  assert.deepEqual(of('instance.guest-password'), [{ user: 'root' }]);
  assert.deepEqual(of('instance.guest-keys'), [{ user: 'root', keys: ['ssh-ed25519 AAAA me'], replace: false }]);
  assert.deepEqual(of('instance.guest-command').at(-1), { argv: ['echo', 'told'] });
  assert.deepEqual(of('instance.guest-file-written').at(-1), { path: '/root/secret' });
  const all = JSON.stringify(rows);
  for (const secret of ['correct horse', base64('correct horse'), 'secret']) {
    assert.ok(!all.replaceAll('/root/secret', '').includes(secret), secret);
  }
});
