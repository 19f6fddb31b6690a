// Images built of recipes, of packages that this machine serves itself. Their guests are not booted here: they have no kernel.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { BuiltImage, ImageOrder } from '@virga/contract/agent/image-building';
import type { ImageRecipe } from '@virga/contract/agent/image-recipe';
import { VirgaError } from '@virga/contract/errors';
import { newId } from '@virga/contract/ids';
import { until } from '@virga/testing/until';
import { openContents } from '../../disk-contents/open-contents.ts';
import { openRawDisk } from '../../disk-contents/raw-disk.ts';
import { openPackageMirror, type PackageMirror } from '../../image-building/testing/package-mirror.ts';
import { runCommand } from '../../run-command.ts';
import { openTestHost, type TestHost } from '../testing/test-host.ts';

/** On a machine with a lot else to do. */
const busyMs = 300_000;
let host: TestHost;
let mirror: PackageMirror;
before(async () => {
  host = await openTestHost(83);
  mirror = await openPackageMirror(process.env.VIRGA_TEST_PACKAGES ?? '');
});
after(async () => {
  await mirror.close();
  await host.close();
});

const recipe = (changes: Partial<ImageRecipe> = {}): ImageRecipe => ({
  base: mirror.base,
  packages: ['dash', 'coreutils'],
  sizeMib: 128,
  boot: 'none',
  files: [
    { path: '/etc/greeting', content: 'Grüße\n', mode: '0640' },
    { path: '/opt/deep/inside', content: Buffer.from([0, 255]).toString('base64'), encoding: 'base64', owner: '7:8' },
  ],
  commands: [
    ['/bin/sh', '-c', 'echo "$1" >/etc/said', 'sh', "it's $HOME"],
    { script: 'id -u >/etc/id\ncat /proc/net/dev >/etc/cards 2>/dev/null || echo none >/etc/cards\nls /' },
  ],
  ...changes,
});
const order = (built: ImageRecipe): ImageOrder => ({
  id: newId('image'),
  cloudId: host.cloudId,
  from: { kind: 'recipe', recipe: built },
  seal: true,
});
const leftovers = async () => (await readdir(join(host.storagePath, 'images'))).filter((name) => name.startsWith('.'));

test('the same recipe makes the same image, to the byte, with its files as they were asked for', {
  timeout: busyMs,
}, async () => {
  const built: BuiltImage[] = [];
  for (const one of [order(recipe()), order(recipe())]) {
    const percents: number[] = [];
    built.push(await host.agent.buildImage(one, { onProgress: (_, percent) => percents.push(percent) }));
    assert.ok(percents.length > 3 && percents.every((percent, index) => percent >= (percents[index - 1] ?? 0)));
  }
  const [one, other] = built;
  assert.equal(one!.image.sha256, other!.image.sha256);
  assert.equal(one!.image.virtualSizeBytes, 128 * 1024 * 1024);
  assert.deepEqual(await leftovers(), []);

  const disk = await openRawDisk({ path: one!.path, format: 'qcow2' }, { folder: host.storagePath, writable: false });
  try {
    const opened = await openContents(disk);
    assert.ok('root' in opened, JSON.stringify(opened));
    const text = async (path: string) => (await opened.root.read(path))?.toString();
    assert.equal(await text('/etc/greeting'), 'Grüße\n');
    assert.equal((await opened.root.stat('/etc/greeting'))?.mode, 0o640);
    const { uid, gid, mode, sizeBytes } = (await opened.root.stat('/opt/deep/inside'))!;
    assert.deepEqual([uid, gid, mode, sizeBytes], [7, 8, 0o644, 2]);
    assert.equal(await text('/etc/said'), "it's $HOME\n");
    assert.equal(await text('/etc/id'), '0\n');
    // Without the network of the host.
    assert.doesNotMatch((await text('/etc/cards')) ?? '', /^\s*(eth|ens|virbr)/m);
    assert.equal((await opened.root.stat('/bin/sh'))?.kind, 'file');
    assert.deepEqual([(await opened.root.stat('/'))?.uid, (await opened.root.stat('/etc'))?.uid], [0, 0]);
  } finally {
    await disk.close();
  }
  for (const { image } of built) await host.agent.deleteImage({ id: image.id, cloudId: host.cloudId });
});

test('what a command says stands in the error, and nothing is left', async () => {
  const failing = order(recipe({ commands: [{ script: 'echo E: no such luck >&2; exit 3' }] }));
  await assert.rejects(host.agent.buildImage(failing), (error) => {
    assert.ok(error instanceof VirgaError);
    assert.equal(error.code, 'OperationFailed');
    assert.match(error.detail, /no such luck/);
    return true;
  });
  assert.deepEqual(await leftovers(), []);
  assert.deepEqual(await host.agent.listImages(host.cloudId), []);
});

test('a build that is cut short ends with all it has started, and leaves nothing', async () => {
  const abort = new AbortController();
  const sleeping = order(recipe({ commands: [['sleep', '98765']] }));
  const onProgress = (message: string) => {
    if (message === 'running command 0') abort.abort(new Error('cut short'));
  };
  await assert.rejects(host.agent.buildImage(sleeping, { signal: abort.signal, onProgress }), /cut short/);
  assert.deepEqual(await leftovers(), []);
  assert.doesNotMatch(await runCommand('ps', ['-eo', 'args']), /sleep 98765/);
});

test('an agent that is killed takes all that it has started along, and what it made goes with the image', async () => {
  const interrupted = order(recipe({ commands: [['sleep', '76543']] }));
  const program = join(import.meta.dirname, 'testing/killed-build.ts');
  const args = ['--conditions=development', program, host.storagePath, JSON.stringify(interrupted)];
  const child = spawn(process.execPath, args, { stdio: 'inherit' });
  const [, signal] = (await once(child, 'exit')) as [number | null, NodeJS.Signals | null];
  assert.equal(signal, 'SIGKILL');
  await until('nothing of the build runs', async () => {
    const running = await runCommand('ps', ['-eo', 'stat,args']);
    return !/^[^Z]\S*\s+(sleep 76543|\S+ \S*mmdebstrap)/m.test(running);
  });
  assert.equal((await leftovers()).length, 1);
  await host.agent.deleteImage(interrupted);
  assert.deepEqual(await leftovers(), []);
});
