// Images that come from elsewhere, with a server that is a process and a host that is real: sent from a file by the command
// line, downloaded from another machine over a crash of the server, launched from, and refused.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { greeting, tinyGuestDisk } from '@virga/host-agent/contract-suite/tiny-guest';
import { ovf, tar } from '@virga/host-agent/libvirt/images/testing/archives';
import { type OtherMachine, openOtherMachine } from '@virga/host-agent/libvirt/images/testing/other-machine';
import { type Hypervisor, startHypervisor } from '@virga/testing/hypervisor';
import { until } from '@virga/testing/until';
import { output } from './run-program.ts';
import { WholeCloud } from './whole-cloud.ts';

const mebibyte = 1024 ** 2;
let hypervisor: Hypervisor;
let cloud: WholeCloud;
let web: OtherMachine;

const at = (name: string) => join(cloud.folder, name);

before(async () => {
  hypervisor = await startHypervisor();
  cloud = await WholeCloud.start();
  web = await openOtherMachine(cloud.folder);
  await cloud.done('networks create default --cidr 10.204.0.0/24 --wait');
});

after(async () => {
  await web?.close();
  await cloud?.close();
  await hypervisor?.close();
});

const refusal = async (line: string) => {
  const { exit, stderr } = await cloud.cli(line.split(' '));
  return `${exit}: ${stderr}`;
};
const left = () => readdirSync(join(cloud.folders.state, 'storage/images')).filter((name) => name.startsWith('.'));
const memoryMib = () => {
  const status = readFileSync(`/proc/${cloud.serverPid}/status`, 'utf8');
  const [now, most] = ['VmRSS', 'VmHWM'].map(
    (name) => Number(new RegExp(`${name}:\\s+(\\d+)`).exec(status)?.[1]) / 1024,
  );
  return { now: now ?? 0, most: most ?? 0 };
};

test('a machine that comes as an OVA is sent, becomes an image, and boots', async () => {
  writeFileSync(at('tiny.raw'), tinyGuestDisk({ answersAcpi: true }));
  await output(
    'qemu-img',
    'convert',
    '-f',
    'raw',
    '-O',
    'vmdk',
    '-o',
    'subformat=streamOptimized',
    at('tiny.raw'),
    at('tiny.vmdk'),
  );
  writeFileSync(
    at('tiny.ova'),
    tar([
      ['tiny.ovf', Buffer.from(ovf())],
      ['disk.vmdk', readFileSync(at('tiny.vmdk'))],
    ]),
  );
  assert.match(await cloud.done(`images import ${at('tiny.ova')} --name tiny --wait`), /image tiny: available/);
  const { format, origin } = await cloud.json('images show tiny');
  assert.deepEqual([format, origin.url, origin.verification.format], ['qcow2', null, 'ova']);
  await cloud.done('launch one --image tiny --type tiny --no-key --wait');
  await until('it boots', async () => (await cloud.done('log one')).includes(greeting.trim()));
  await cloud.done('delete one --yes --wait');
  assert.deepEqual(left(), []);
});

test('a large file passes through the server without staying in its memory', async () => {
  const content = randomBytes(mebibyte);
  content.writeUInt16LE(0xaa55, 510);
  writeFileSync(at('large.raw'), content);
  truncateSync(at('large.raw'), 512 * mebibyte);
  const before = memoryMib();
  await cloud.done(`images import ${at('large.raw')} --name large --wait`);
  const after = memoryMib();
  assert.equal((await cloud.json('images show large')).virtualSizeBytes, 512 * mebibyte);
  // Node lets buffers lie for a while that are free, on a busy machine up to 130 MiB of them were seen.
  assert.ok(after.now - before.now < 192, `from ${before.now} to ${after.now} MiB, ${after.most} at most`);
  await cloud.done('images delete large --yes --wait');
});

test('a download goes on where it was after the server was killed', async () => {
  // So much that it takes most of a minute at first: it must not be over before the server is killed.
  const content = randomBytes(32 * mebibyte);
  content.writeUInt16LE(0xaa55, 510);
  writeFileSync(at('disk.raw'), content);
  const url = web.url('disk.raw?slow=1', web.publicAddress);
  await cloud.done(`images import ${url} --name web --format raw`);
  const { id: resourceId } = await cloud.json('images show web');
  const { id } = (await cloud.client.listOperations({ query: { resourceId } })).items[0]!;
  const isUnderWay = () =>
    readdirSync(join(cloud.folders.state, 'storage/images')).some((name) => name.endsWith('.staged'));
  await until('it has begun', () => web.asked.length > 0 && isUnderWay());
  await until('some of it is here', async () => {
    const { message } = await cloud.client.getOperation({ params: { id }, query: {} });
    return /downloading the image: [1-9]/.test(message);
  });
  await cloud.stopServer('SIGKILL');
  await cloud.startServer();
  assert.equal(await cloud.failureOf(id), undefined);
  const { sha256 } = (await cloud.json('images show web')).origin.verification;
  assert.equal(`${sha256}  ${at('disk.raw')}\n`, await output('sha256sum', at('disk.raw')));
  const ranges = web.asked.filter(({ path }) => path.startsWith('/disk.raw')).map(({ range }) => range);
  assert.match(String(ranges.at(-1)), /^bytes=[1-9]\d*-$/, `asked for ${ranges}`);
  await cloud.done('images delete web --yes --wait');
});

test('what may not be, or cannot be, is refused with what to do, and nothing is left of it', async () => {
  await output(
    'qemu-img',
    'create',
    '-q',
    '-f',
    'qcow2',
    '-u',
    '-b',
    '/etc/shadow',
    '-F',
    'raw',
    at('evil.qcow2'),
    '1M',
  );
  assert.match(await refusal(`images import ${at('evil.qcow2')} --name evil --wait`), /^2: .*backing file/s);
  const own = `${cloud.url}/v1/health`;
  assert.match(
    await refusal(`images import ${own} --name own --wait`),
    /^8: .*Nothing is downloaded from 127\.0\.0\.1/s,
  );
  assert.match(
    await refusal(`images import ${web.url('disk.raw')} --name p --wait`),
    /^8: .*an administrator has to allow/s,
  );
  const to = encodeURIComponent('http://169.254.169.254/latest/meta-data/');
  const redirected = web.url(`x?redirect=${to}`, web.publicAddress);
  assert.match(await refusal(`images import ${redirected} --name r --wait`), /^8: .*169\.254\.169\.254/s);
  assert.match(await refusal(`images import ${at('nothing')} --name n`), /^3: .*no file/s);
  assert.match(await refusal('images pull windows'), /^3: .*images catalog/s);
  const names = (await cloud.json('images')).map(({ name }: { name: string }) => name);
  assert.deepEqual(names, ['tiny']);
  assert.deepEqual(left(), []);
});
