// What people get wrong, on the command line and over HTTP, against a real server over a real host: each is refused with one
// sentence and what to do, and nothing half made is left. What is wrong with the machine is bad-surroundings.test.ts.
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { mkdirSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { ErrorCode } from '@virga/contract/errors';
import { tinyGuestDisk } from '@virga/host-agent/contract-suite/tiny-guest';
import { type Hypervisor, startHypervisor } from '@virga/testing/hypervisor';
import { type Refusal, Refusals } from './refusals.ts';
import { output } from './run-program.ts';
import { WholeCloud } from './whole-cloud.ts';

let hypervisor: Hypervisor;
let cloud: WholeCloud;
let refusals: Refusals;
const file = (name: string) => join(cloud.folder, name);
const largestUserDataBytes = 16_384;

before(async () => {
  hypervisor = await startHypervisor();
  cloud = await WholeCloud.start();
  refusals = new Refusals(cloud);
  writeFileSync(file('guest.raw'), tinyGuestDisk({ answersAcpi: true }));
  await Promise.all([
    cloud.done(`images register ${file('guest.raw')} --name guest --format raw --wait`),
    cloud.done('networks create default --cidr 10.202.0.0/24 --wait'),
    cloud.done('types create nano --vcpus 1 --memory 64 --disk 1'),
    cloud.done('types create giant --vcpus 512 --memory 16777216 --disk 1'),
    cloud.done('keys create laptop'),
  ]);
  await cloud.done('launch web --image guest --type nano --wait');
});

after(async () => {
  if (refusals) process.stdout.write(`${refusals.table()}\n`);
  await cloud?.close();
  await hypervisor?.close();
});

const launch = (...words: string[]) => ({ words: ['launch', 'new', '--image', 'guest', '--type', 'nano', ...words] });
const posted = (path: string, body: unknown) => ({ method: 'POST', path: `/v1/${path}`, body });
const launched = (body: object) => posted('instances', { name: 'new', image: 'guest', type: 'nano', ...body });

function refuses(cases: () => Refusal[]) {
  return async () => {
    for (const refusal of cases()) {
      await refusals.check(refusal).catch((cause) => {
        throw new Error(`${refusal.what}: ${cause.message}`, { cause });
      });
    }
  };
}

test(
  'a launch of what is not there, too large or named like another',
  refuses(() => {
    const unknown = (what: string, option: string, field: string, http: object): Refusal => ({
      what: `unknown ${what}`,
      code: 'NotFound',
      says: /nope/,
      field,
      cli: launch(`--${option}`, 'nope'),
      http: launched(http),
    });
    return [
      unknown('image', 'image', '/image', { image: 'nope' }),
      unknown('type', 'type', '/type', { type: 'nope' }),
      unknown('network', 'network', '/network', { network: 'nope' }),
      unknown('key', 'key', '/keyPairs/0', { keyPairs: ['nope'] }),
      {
        what: 'type too large for the host',
        code: 'InstanceTypeTooLarge',
        says: /needs 512 vCPU and 16777216 MiB; the largest host offers \d+ vCPU/,
        field: '/type',
        cli: launch('--type', 'giant'),
        http: launched({ type: 'giant' }),
      },
      {
        what: 'name of an instance taken',
        code: 'NameTaken',
        says: /An instance named web exists/,
        field: '/name',
        cli: { words: ['launch', 'web', '--image', 'guest', '--type', 'nano'] },
        http: launched({ name: 'web' }),
      },
      {
        what: 'name that is none',
        code: 'InvalidArgument',
        says: /name/,
        field: '/name',
        cli: { words: ['launch', 'Not_a_name', '--image', 'guest', '--type', 'nano'] },
        http: launched({ name: 'Not_a_name' }),
      },
      {
        what: 'disk smaller than nothing',
        code: 'InvalidArgument',
        says: /disk/,
        field: '/diskGib',
        cli: launch('--disk', '0'),
        http: launched({ diskGib: 0 }),
      },
    ];
  }),
);

test(
  'user data of more than 16 KiB, or that cannot be read',
  refuses(() => {
    writeFileSync(file('large'), Buffer.alloc(largestUserDataBytes + 1, 'x'));
    writeFileSync(file('largest'), Buffer.alloc(largestUserDataBytes, 'x'));
    const base64 = (bytes: number) => Buffer.alloc(bytes, 'x').toString('base64');
    return [
      {
        what: 'user data over 16 KiB',
        code: 'UserDataTooLarge',
        says: /16385 bytes; at most 16384/,
        field: '/userData',
        cli: launch('--user-data', file('large')),
        http: launched({ userData: base64(largestUserDataBytes + 1) }),
      },
      {
        what: 'user data of just 16 KiB, and no such image',
        code: 'NotFound',
        says: /nope/,
        field: '/image',
        cli: launch('--user-data', file('largest'), '--image', 'nope'),
        http: launched({ userData: base64(largestUserDataBytes), image: 'nope' }),
      },
      {
        what: 'user data file missing',
        code: 'InvalidArgument',
        says: /missing cannot be read/,
        cli: launch('--user-data', file('missing')),
      },
      {
        what: 'user data not base64',
        code: 'InvalidArgument',
        says: /not base64/,
        field: '/userData',
        http: launched({ userData: 'ü' }),
      },
    ];
  }),
);

test(
  'names of other things that are taken, ranges that overlap',
  refuses(() => [
    {
      what: 'name of an image taken',
      code: 'NameTaken',
      says: /image named guest exists/,
      field: '/name',
      cli: { words: ['images', 'register', file('guest.raw'), '--name', 'guest', '--format', 'raw'] },
      http: posted('images', { name: 'guest', path: file('guest.raw'), format: 'raw' }),
    },
    {
      what: 'name of a network taken',
      code: 'NameTaken',
      says: /default/,
      field: '/name',
      cli: { words: ['networks', 'create', 'default', '--cidr', '10.203.0.0/24'] },
      http: posted('networks', { name: 'default', cidr: '10.203.0.0/24' }),
    },
    {
      what: 'range of a network taken',
      code: 'InvalidArgument',
      says: /overlaps with network default, which has 10\.202\.0\.0\/24/,
      field: '/cidr',
      cli: { words: ['networks', 'create', 'other', '--cidr', '10.202.0.128/25'] },
      http: posted('networks', { name: 'other', cidr: '10.202.0.128/25' }),
    },
    {
      what: 'range that is none',
      code: 'InvalidArgument',
      says: /10\.300\.0\.0\/24/,
      field: '/cidr',
      cli: { words: ['networks', 'create', 'other', '--cidr', '10.300.0.0/24'] },
      http: posted('networks', { name: 'other', cidr: '10.300.0.0/24' }),
    },
    {
      what: 'image in use',
      code: 'InUse',
      says: /guest has 1 instance cloned/,
      cli: { words: ['images', 'delete', 'guest', '--yes'] },
    },
  ]),
);

test(
  'keys that are none',
  refuses(() => {
    const { privateKey } = generateKeyPairSync('ed25519');
    const pem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
    const key = (what: string, text: string): Refusal => {
      const path = file(what.replaceAll(' ', '-'));
      writeFileSync(path, text);
      return {
        what,
        code: 'InvalidKeyPair',
        says: /key/,
        field: '/publicKey',
        cli: { words: ['keys', 'import', 'bad', path] },
        http: posted('key-pairs', { name: 'bad', publicKey: text }),
      };
    };
    return [
      key('malformed key', 'ssh-ed25519 AAAAnot-a-key me@here\n'),
      key('private key instead of public', pem),
      key('two keys', 'ssh-ed25519 AAAA a\nssh-ed25519 AAAA b\n'),
    ];
  }),
);

test('images that are none', async () => {
  await output('qemu-img', 'create', '-q', '-f', 'qcow2', file('plain.qcow2'), '64M');
  await output('qemu-io', '-f', 'qcow2', '-c', 'write -P 7 0 8M', file('plain.qcow2'));
  const changed = async (name: string, ...command: string[]) => {
    await output('cp', file('plain.qcow2'), file(name));
    if (command.length > 0) await output(command[0]!, ...command.slice(1));
    return file(name);
  };
  const image = (what: string, path: string, format: string, says: RegExp, code: ErrorCode = 'ImageUnusable') =>
    refusals.check({
      what: `image: ${what}`,
      code,
      says,
      cli: { words: ['images', 'register', path, '--name', 'bad', '--format', format, '--wait'] },
      http: posted('images', { name: 'bad', path, format }),
      later: true,
    });
  const corrupt = await changed('corrupt.qcow2');
  // Its table of tables lies where nothing is.
  await output('sh', '-c', `printf '\\0\\0\\0\\0\\177\\377\\0\\0' | dd of=${corrupt} bs=1 seek=40 conv=notrunc 2>&1`);
  await image('corrupt', corrupt, 'qcow2', /corrupt/);
  const cut = await changed('cut.qcow2');
  truncateSync(cut, 1024 * 1024);
  await image('truncated', cut, 'qcow2', /corrupt/);
  writeFileSync(file('text'), 'no image at all');
  await image('text', file('text'), 'qcow2', /not a qcow2|no qcow2/);
  writeFileSync(file('empty'), '');
  await image('empty', file('empty'), 'raw', /empty/);
  await image('empty, as qcow2', file('empty'), 'qcow2', /empty|qcow2/);
  await image('qcow2 said to be raw', file('plain.qcow2'), 'raw', /stated to be raw but is a qcow2/);
  await image('raw said to be qcow2', file('guest.raw'), 'qcow2', /not a qcow2|no qcow2/);
  const backed = file('backed.qcow2');
  await output('qemu-img', 'create', '-q', '-f', 'qcow2', '-b', '/etc/shadow', '-F', 'raw', '-u', backed, '1M');
  await image('with a backing file', backed, 'qcow2', /backing file/);
  await image('with a backing file, said to be raw', backed, 'raw', /stated to be raw but is a qcow2/);
  mkdirSync(file('folder'));
  await image('a folder', file('folder'), 'raw', /not a regular file/);
  await output('mkfifo', file('pipe'));
  await image('a pipe', file('pipe'), 'raw', /not a regular file/);
  await image('a device', '/dev/zero', 'raw', /not a regular file/);
  await image('missing', file('nothing'), 'raw', /no file .*nothing/, 'NotFound');
  await refusals.check({
    what: 'image: relative path',
    code: 'InvalidArgument',
    says: /path/,
    field: '/path',
    http: posted('images', { name: 'bad', path: 'guest.raw', format: 'raw' }),
  });
});

test('who is not who they say', async () => {
  const { apiKey, secret } = await cloud.json('api-keys create --days 1');
  await cloud.store.db
    .updateTable('api_keys')
    .set({ expires_at: new Date(Date.now() - 1000) })
    .where('access_key_id', '=', apiKey.accessKeyId)
    .execute();
  const basic = (user: string, password: string) => ({
    authorization: `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`,
  });
  const listed = (headers: Record<string, string>) => ({ method: 'GET', path: '/v1/instances', headers });
  const as = (id: string, key: string) => ({
    words: ['list', '--server', cloud.url],
    env: { VIRGA_ACCESS_KEY_ID: id, VIRGA_SECRET_ACCESS_KEY: key },
  });
  await refuses(() => [
    {
      what: 'wrong password',
      code: 'Unauthenticated',
      says: /password/i,
      cli: { words: ['login', '--server', cloud.url, '--user', 'admin', '--password-stdin'], input: 'wrong\n' },
      http: posted('login', { user: 'admin', password: 'wrong' }),
    },
    {
      what: 'expired key',
      code: 'Unauthenticated',
      says: /expired/,
      cli: as(apiKey.accessKeyId, secret),
      http: listed(basic(apiKey.accessKeyId, secret)),
    },
    {
      what: 'unknown key',
      code: 'Unauthenticated',
      says: /key/i,
      cli: as('VKNOSUCHKEYNOSUCHKEY', 'x'),
      http: listed(basic('VKNOSUCHKEYNOSUCHKEY', 'x')),
    },
    {
      what: 'not signed in',
      code: 'Unauthenticated',
      says: /\w/,
      cli: { words: ['list'], env: { HOME: cloud.folder } },
      http: listed({ authorization: '' }),
    },
  ])();
  await cloud.done('list');
});

test(
  'words and documents that nobody understands',
  refuses(() => [
    { what: 'unknown option', code: 'InvalidArgument', says: /--colour/, cli: { words: ['list', '--colour'] } },
    { what: 'unknown command', code: 'InvalidArgument', says: /lanch/, cli: { words: ['lanch', 'web'] } },
    {
      what: 'option missing',
      code: 'InvalidArgument',
      says: /type/,
      field: '/type',
      cli: { words: ['launch', 'new', '--image', 'guest'] },
      http: posted('instances', { name: 'new', image: 'guest' }),
    },
    {
      what: 'unknown field',
      code: 'InvalidArgument',
      says: /colour/,
      field: '/colour',
      http: launched({ colour: 'red' }),
    },
    { what: 'not JSON', code: 'InvalidArgument', says: /JSON/, http: posted('instances', '{"name": ') },
    { what: 'no such route', code: 'NotFound', says: /nowhere/, http: { method: 'GET', path: '/v1/nowhere' } },
    {
      what: 'body too large',
      code: 'PayloadTooLarge',
      says: /MiB|bytes|large/,
      http: launched({ userData: 'x'.repeat(2 * 1024 * 1024) }),
    },
  ]),
);

test('after all of that the cloud works', async () => {
  assert.equal(await cloud.done('delete web --yes --wait'), 'instance web: deleted\n');
  assert.match(await cloud.done('launch new --image guest --type nano --wait'), /^instance new: running/);
});
