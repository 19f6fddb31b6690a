// Images that are downloaded from another machine, over a network that is really there: where they may come from, how they go
// on after they were cut off, and what says that they are what they should be.
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { DesiredImage } from '@virga/contract/agent/desired';
import type { DownloadSource } from '@virga/contract/agent/image-source';
import { newId } from '@virga/contract/ids';
import { eventually } from '../../contract-suite/eventually.ts';
import { runCommand } from '../../run-command.ts';
import { openStorage, type Storage } from '../storage.ts';
import { openTestHost, type TestHost } from '../testing/test-host.ts';
import { type Download, downloadFile } from './staging/download-file.ts';
import { digestsOf, StagedFile } from './staging/staged-file.ts';
import { type OtherMachine, openOtherMachine } from './testing/other-machine.ts';
import { expired, freebsdList, maker, publishedLists, revoked } from './testing/published-lists.ts';
import { fingerprint, keyring, list, signature, signedDisk, signedList } from './testing/signed-list.ts';

const mebibyte = 1024 ** 2;
const limits = { maximumFileBytes: 64 * mebibyte, maximumVirtualBytes: 1024 ** 4, maximumSeconds: 60 };
const allowed = ['198.51.100.0/24'];
const content = randomBytes(3 * mebibyte);
const contentSum = createHash('sha256').update(content).digest('hex');

let host: TestHost;
let folder: string;
let storage: Storage;
let web: OtherMachine;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'virga-web-'));
  const files = {
    content,
    'disk.raw': signedDisk,
    SHA256SUMS: list,
    'SHA256SUMS.gpg': signature,
    CHECKSUM: signedList,
    ...publishedLists,
  };
  for (const [name, bytes] of Object.entries(files)) await writeFile(join(folder, name), bytes);
  await writeFile(join(folder, 'FORGED'), signedList.replace(/^[0-9a-f]{64}/m, '1'.repeat(64)));
  await writeFile(join(folder, 'OTHER'), `${'2'.repeat(64)}  another.raw\n`);
  await writeFile(
    join(folder, 'disk.raw.sha256'),
    `${createHash('sha256').update(signedDisk).digest('hex')}  built-4711.raw\n`,
  );
  await writeFile(
    join(folder, 'BSD'),
    `SHA256 (disk.raw) = ${createHash('sha256').update(signedDisk).digest('hex')}\n`,
  );
  await runCommand('xz', ['--keep', '-0', join(folder, 'disk.raw')]);
  await writeFile(join(folder, 'CHECKSUM.SHA512'), freebsdList(await readFile(join(folder, 'disk.raw.xz'))));
  host = await openTestHost(152);
  storage = await openStorage(join(host.storagePath, 'apart'));
  web = await openOtherMachine(folder);
});

after(async () => {
  await web.close();
  await host.close();
  await rm(folder, { recursive: true });
});

const staging = () => new StagedFile(storage, { id: newId('image'), cloudId: 'test' });
const download = (url: string, options: Partial<Download> & { networks?: DownloadSource['networks'] } = {}) => {
  const { networks = { allowed, refused: [] }, staged = staging(), ...more } = options;
  const source = { url, limits, networks, ...more.source };
  const work = downloadFile({
    storage,
    pauseMs: 10,
    onBytes: () => undefined,
    signal: undefined,
    ...more,
    source,
    staged,
  });
  return { staged, work };
};
/** What was asked of the other machine, whose word of it may come after its answer. */
const ranges = (path: string, count: number) =>
  eventually(`${path} is asked for`, () => {
    const found = web.asked.filter((request) => request.path === `/${path}`);
    return found.length >= count ? found.map(({ range, ifRange }) => [range, ifRange]) : undefined;
  });

test('a download that was cut off goes on where it was', async () => {
  const { staged, work } = download(web.url('content?cut=1000000'));
  await work;
  assert.equal((await digestsOf(staged.path, ['sha256'])).get('sha256'), contentSum);
  const [first, [range, ifRange] = []] = await ranges('content?cut=1000000', 2);
  assert.deepEqual([first, ifRange], [[null, null], '"one"']);
  // What had not been read when the connection ended is lost.
  assert.match(String(range), /^bytes=[1-9]\d{0,6}-$/);
});

test('one that is asked for again by another agent goes on too, and a file that has changed begins anew', async () => {
  const stop = new AbortController();
  const { staged, work } = download(web.url('content?slow=1'), {
    signal: stop.signal,
    onBytes: (bytes) => bytes > 100_000 && stop.abort(new Error('the server ends')),
  });
  await assert.rejects(work, /the server ends/);
  const haveBytes = await staged.sizeBytes();
  assert.ok(haveBytes > 0 && haveBytes < content.length);
  await download(web.url('content?slow=1'), { staged }).work;
  assert.equal((await digestsOf(staged.path, ['sha256'])).get('sha256'), contentSum);
  assert.deepEqual(await ranges('content?slow=1', 2), [
    [null, null],
    [`bytes=${haveBytes}-`, '"one"'],
  ]);
  const changing = download(web.url('content?cut=500000&changes=1'));
  await changing.work;
  assert.equal((await digestsOf(changing.staged.path, ['sha256'])).get('sha256'), contentSum);
});

test('one that leads to another mirror each time goes on at the one it began with, and elsewhere when that is gone', async () => {
  const [first, second] = ['content?cut=1000000&mirror=1', 'content?changes=1&mirror=2'];
  const to = (...places: string[]) => encodeURIComponent(places.map((place) => web.url(place)).join(' '));
  await download(web.url(`x?turns=${to(first, second)}`)).work;
  const [, [range] = []] = await ranges(first, 2);
  assert.match(String(range), /^bytes=[1-9]/);
  assert.ok(!web.asked.some(({ path }) => path === `/${second}`));
  const gone = 'content?cut=1000000&once=1';
  const { work, staged } = download(web.url(`x?turns=${to(gone, second)}`));
  await work;
  assert.equal((await digestsOf(staged.path, ['sha256'])).get('sha256'), contentSum);
  assert.deepEqual((await ranges(second, 1)).length, 1);
});

test('without a name for what it was, a part of it is not relied upon', async () => {
  const { staged, work } = download(web.url('content?cut=500000&unnamed=1'));
  await work;
  assert.equal(await staged.sizeBytes(), content.length);
  assert.deepEqual(await ranges('content?cut=500000&unnamed=1', 2), [
    [null, null],
    [null, null],
  ]);
});

test('a server that is busy is asked again, one that has no such file is not', async () => {
  await download(web.url('content?fails=2')).work;
  await assert.rejects(download(web.url('nothing')).work, {
    code: 'ImageSourceUnavailable',
    detail: /answers 404/,
  } as object);
  assert.equal((await ranges('nothing', 1)).length, 1);
  await assert.rejects(download(web.url('content?fails=99')).work, { detail: /answers 503/ } as object);
});

test('what is too large, endless, longer than it says or packed on the way is refused', async () => {
  const refused = async (query: string, detail: RegExp) => {
    const { work, staged } = download(web.url(`content?${query}`));
    await assert.rejects(work, { detail } as object, query);
    assert.ok((await staged.sizeBytes()) <= limits.maximumFileBytes + mebibyte);
  };
  await refused('endless=1', /more than \d+ bytes/);
  await refused(`says=${10 ** 15}`, /has 1000000000000000 bytes/);
  await refused('encoding=gzip', /compressed/);
});

test('nothing is downloaded from the host itself, from links, the networks of the cloud, or private ones, whatever leads there', async () => {
  const refused = async (url: string, detail: RegExp, options: Parameters<typeof download>[1] = {}) => {
    const { work, staged } = download(url, options);
    await assert.rejects(work, { code: 'ImageSourceUnavailable', detail } as object, url);
    assert.equal(await staged.sizeBytes(), 0);
  };
  const never = /not an address of another machine|is this host/;
  for (const address of [
    ...['127.0.0.1', '127.9.9.9', '0.0.0.0', '169.254.169.254', '224.0.0.1', '255.255.255.255', '2130706433', '0x7f.1'],
    ...[
      '[::1]',
      '[::]',
      '[fe80::1]',
      '[ff02::1]',
      '[::ffff:127.0.0.1]',
      '[::ffff:a9fe:a9fe]',
      '[64:ff9b::7f00:1]',
      '[2002:7f00:1::]',
    ],
  ]) {
    await refused(`http://${address}:8080/content`, never);
  }
  const everything = { allowed: ['0.0.0.0/0', '::/0'], refused: [] };
  await refused('http://127.0.0.1:8080/content', never, { networks: everything });
  await refused('http://198.51.100.1:8080/content', /is this host itself/, { networks: everything });
  for (const address of ['10.0.0.1', '172.16.9.9', '192.168.1.1', '100.64.0.1', '[fd00::1]', web.address]) {
    await refused(`http://${address}/x`, /private network/, { networks: { allowed: ['203.0.113.0/24'], refused: [] } });
  }
  await refused(web.url('content'), /the cloud's own networks/, {
    networks: { allowed, refused: ['198.51.100.0/25'] },
  });
  for (const [to, detail] of [
    ['http://127.0.0.1:8470/v1/health', never],
    ['http://169.254.169.254/latest/meta-data/', never],
    ['http://localhost:8470/', never],
    ['file:///etc/shadow', /begins with https/],
    ['http://user:secret@198.51.100.2/x', /password/],
  ] as const) {
    await refused(web.url(`x?redirect=${encodeURIComponent(to)}`), detail);
  }
  await refused(web.url('x?redirect=x%3Fredirect%3Dx'), /answers 404/);
  await refused(web.url('loop?redirect='), /without an end/);
  await download(web.url('content', web.publicAddress), { networks: { allowed: [], refused: [] } }).work;
  await download(web.url(`x?redirect=${encodeURIComponent(web.url('content'))}`)).work;
});

test('a name is asked for once for each connection, which goes where the answer said; an answer that changes is judged again', async () => {
  const answers = [[web.address], ['127.0.0.1']];
  const names: string[] = [];
  const resolve = async (name: string) => {
    names.push(name);
    return answers[Math.min(names.length, answers.length) - 1]!;
  };
  const url = web.url('content', 'images.example');
  await download(url, { resolve }).work;
  assert.deepEqual(names, ['images.example'], 'the second answer was never asked for');
  names.length = 0;
  const { work } = download(web.url('content?cut=700000&dns=1', 'images.example'), { resolve });
  await assert.rejects(work, { code: 'ImageSourceUnavailable', detail: /images.example \(127.0.0.1\)/ } as object);
  names.length = 0;
  const mixed = async () => [web.address, '127.0.0.1'];
  await assert.rejects(download(url, { resolve: mixed }).work, { detail: /images.example \(127.0.0.1\)/ } as object);
});

function desired(source: Partial<DownloadSource>): DesiredImage {
  const networks = { allowed, refused: [] };
  const download = { kind: 'download', url: web.url('disk.raw'), format: 'detect', limits, networks } as const;
  return {
    id: newId('image'),
    cloudId: host.cloudId,
    generation: 1,
    source: { ...download, ...source },
    format: 'qcow2',
  };
}

async function nothingIsLeft(): Promise<void> {
  assert.deepEqual(await readdir(join(host.storagePath, 'images')), []);
}

test('an image is imported by its address, and its checksum and signature are told as they were found', async () => {
  const signed = (url: string, inFile?: string) => ({
    ...{ url: web.url(url), algorithm: 'sha256' as const },
    signature: { fingerprint, keyring, ...(inFile !== undefined && { url: web.url(inFile) }) },
  });
  const { keyring: _, ...unknown } = signed('CHECKSUM').signature;
  for (const [source, checksum, by] of [
    [{}, 'none', 'none'],
    [{ checksumList: { url: web.url('SHA256SUMS'), algorithm: 'sha256' } }, 'matched', 'none'],
    [{ checksumList: { url: web.url('BSD'), algorithm: 'sha256' } }, 'matched', 'none'],
    [{ checksumList: { url: web.url('disk.raw.sha256'), algorithm: 'sha256' } }, 'matched', 'none'],
    [{ checksumList: signed('SHA256SUMS', 'SHA256SUMS.gpg') }, 'matched', 'good'],
    [{ checksumList: signed('CHECKSUM') }, 'matched', 'good'],
    [{ checksumList: { ...signed('CHECKSUM'), signature: unknown } }, 'matched', 'no-key'],
  ] as [Partial<DownloadSource>, string, string][]) {
    const image = desired(source);
    const { verification, virtualSizeBytes } = await host.agent.importImage(image);
    assert.deepEqual([verification?.checksum, verification?.signature], [checksum, by], JSON.stringify(source));
    assert.equal(verification?.signedBy, by === 'good' ? fingerprint : undefined);
    assert.equal(virtualSizeBytes, mebibyte);
    await host.agent.deleteImage(image);
  }
  await nothingIsLeft();
});

test('an image with another checksum, or a list that somebody else has signed or changed, leaves nothing', async () => {
  const algorithm = 'sha256' as const;
  const sum = (url: string) => ({ checksumList: { url: web.url(url), algorithm } });
  const signed = (url: string, key: string) => ({
    checksumList: { url: web.url(url), algorithm, signature: { fingerprint: key, keyring } },
  });
  for (const [source, detail] of [
    [{ checksum: { algorithm, value: '0'.repeat(64) } }, /should have 0000/],
    [{ checksum: { algorithm: 'sha512', value: '0'.repeat(128) } }, /SHA-512 [0-9a-f]{128} and should/],
    [sum('OTHER'), /is not in the list/],
    [sum('FORGED'), /should have 1111/],
    [signed('FORGED', fingerprint), /has not signed/],
    [signed('CHECKSUM', 'F'.repeat(40)), /has not signed/],
    [signed('SHA256SUMS', fingerprint), /has not signed/],
  ] as [Partial<DownloadSource>, RegExp][]) {
    await assert.rejects(host.agent.importImage(desired(source)), { code: 'ImageUnusable', detail } as object);
    await nothingIsLeft();
  }
});

test('each kind of list that the makers of the catalog publish is read, and its signature checked', async () => {
  const signed = (url: string, inFile: string | undefined, algorithm: 'sha256' | 'sha512' = 'sha256', key = maker) => ({
    ...{ url: web.url(url), algorithm },
    signature: { ...key, ...(inFile !== undefined && { url: web.url(inFile) }) },
  });
  const plain = (url: string, algorithm: 'sha256' | 'sha512') => ({ url: web.url(url), algorithm });
  const xz = { url: web.url('disk.raw.xz'), format: 'detect' as const };
  for (const [maker, checksumList, by, source = {}] of [
    ['Debian', plain('SHA512SUMS', 'sha512'), 'none'],
    ['Ubuntu, whose list two keys have signed, of which one is here', signed('SHA256SUMS', 'BOTH.gpg'), 'good'],
    ['AlmaLinux', signed('SHA256SUMS', 'BOTH.asc'), 'good'],
    ['Rocky', signed('ROCKY-CHECKSUM', 'ROCKY-CHECKSUM.asc'), 'good'],
    ['Fedora', signed('Fedora-Cloud-44-1.7-x86_64-CHECKSUM', undefined), 'good'],
    ['Arch and openSUSE', plain('disk.raw.SHA256', 'sha256'), 'none'],
    ['Alpine', plain('disk.raw.sha512', 'sha512'), 'none'],
    ['FreeBSD', plain('CHECKSUM.SHA512', 'sha512'), 'none', xz],
    ['one that is busy', plain('SHA256SUMS?fails=1', 'sha256'), 'none'],
    ['one that has just put another image there', plain('x?turns=/MOVED-ON%20/SHA256SUMS', 'sha256'), 'none'],
  ] as [string, NonNullable<DownloadSource['checksumList']>, string, Partial<DownloadSource>?][]) {
    const image = desired({ ...source, checksumList });
    const { verification } = await host.agent.importImage(image);
    assert.deepEqual([verification?.checksum, verification?.signature], ['matched', by], maker);
    await host.agent.deleteImage(image);
  }
  const count = () => web.asked.filter(({ path }) => path === '/disk.raw').length;
  const before = count();
  for (const [key, file, detail] of [
    [expired, 'EXPIRED.gpg', /signed with the key 0994.*, which has expired/],
    [revoked, 'REVOKED.gpg', /signed with the key 604E.*, which its owner has revoked/],
    [{ ...maker, fingerprint: expired.fingerprint }, 'BOTH.gpg', /0994.* has not signed/],
    [expired, 'BOTH.gpg', /0994.* has not signed/],
  ] as const) {
    const image = desired({ checksumList: signed('SHA256SUMS', file, 'sha256', key) });
    await assert.rejects(host.agent.importImage(image), { code: 'ImageUnusable', detail } as object, file);
  }
  assert.equal(count(), before, 'nothing is fetched that nobody vouches for');
  await nothingIsLeft();
});

test('a list of checksums may take no longer than an image', async () => {
  const checksumList = { url: web.url('content?slow=1&list=1'), algorithm: 'sha256' as const };
  const image = desired({ checksumList, limits: { ...limits, maximumSeconds: 2 } });
  await assert.rejects(host.agent.importImage(image), {
    code: 'ImageSourceUnavailable',
    detail: /takes longer than 2 s/,
  } as object);
  await nothingIsLeft();
});
