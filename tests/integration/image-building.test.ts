// Images that are made by the command line, with a server that is a process and a host that is real: of a recipe, and of an
// instance that has been stopped; what is found in them, and launches from them.
import assert from 'node:assert/strict';
import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { greeting, tinyGuestDisk } from '@virga/host-agent/contract-suite/tiny-guest';
import { openPackageMirror, type PackageMirror } from '@virga/host-agent/image-building/testing/package-mirror';
import { type Hypervisor, startHypervisor } from '@virga/testing/hypervisor';
import { until } from '@virga/testing/until';
import { WholeCloud } from './whole-cloud.ts';

/** On a machine with a lot else to do. */
const busyMs = 300_000;
let hypervisor: Hypervisor;
let cloud: WholeCloud;
let mirror: PackageMirror;

before(async () => {
  hypervisor = await startHypervisor();
  cloud = await WholeCloud.start();
  mirror = await openPackageMirror(process.env.VIRGA_TEST_PACKAGES ?? '');
  await cloud.done('networks create default --cidr 10.207.0.0/24 --wait');
});

after(async () => {
  await mirror?.close();
  await cloud?.close();
  await hypervisor?.close();
});

const at = (name: string) => join(cloud.folder, name);
const left = () => readdirSync(join(cloud.folders.state, 'storage/images')).filter((name) => name.startsWith('.'));

test('a recipe becomes an image, whose contents and packages are told', { timeout: busyMs }, async () => {
  writeFileSync(at('inside.txt'), 'from beside the recipe\n');
  const recipe = {
    ...{ name: 'built', base: mirror.base, packages: ['dash', 'coreutils'], boot: 'none', sizeMib: 128 },
    files: [
      { path: '/etc/inside', source: 'inside.txt' },
      { path: '/root/.bash_history', content: 'secret\n' },
    ],
    commands: [['/bin/sh', '-c', 'echo yes >/etc/done']],
  };
  writeFileSync(at('built.yaml'), JSON.stringify(recipe));
  assert.match(await cloud.done(`images build ${at('built.yaml')} --wait`), /image built: available/);
  const { record, from } = await cloud.json('images build-record built');
  assert.equal(from.recipe.files[0].content, Buffer.from('from beside the recipe\n').toString('base64'));
  assert.ok(
    record.sealed.some((done: string) => done.includes('/root/.bash_history')),
    JSON.stringify(record.sealed),
  );
  const report = await cloud.json('images lint built');
  assert.equal(report.fileSystem, 'ext4');
  assert.equal(report.findings.find(({ id }: { id: string }) => id === 'shell-history').verdict, 'ok');

  writeFileSync(at('broken.yaml'), JSON.stringify({ ...recipe, name: 'broken', commands: [['false']] }));
  const failed = await cloud.cli(['images', 'build', at('broken.yaml'), '--wait']);
  assert.equal(failed.exit, 8, failed.stderr);
  writeFileSync(at('wrong.yaml'), JSON.stringify({ ...recipe, name: 'wrong', sizeMib: 'large' }));
  const wrong = await cloud.cli(['images', 'build', at('wrong.yaml')]);
  assert.match(`${wrong.exit}: ${wrong.stderr}`, /^2: .*recipe\.sizeMib must be an integer/s);
  assert.deepEqual(left(), []);
  await cloud.done('images delete built --yes --wait');
});

test('an instance that is stopped becomes an image, which is launched from; one that runs does not', {
  timeout: busyMs,
}, async () => {
  writeFileSync(at('tiny.raw'), tinyGuestDisk({ answersAcpi: true }));
  await cloud.done(`images register ${at('tiny.raw')} --name tiny --format raw --wait`);
  await cloud.done('launch one --image tiny --type tiny --no-key --wait');
  const refused = await cloud.cli(['images', 'create', 'golden', '--from', 'one']);
  assert.match(`${refused.exit}: ${refused.stderr}`, /^4: .*virga stop one/s);
  await cloud.done('stop one --wait');
  const report = await cloud.cli(['images', 'lint', '--instance', 'one']);
  assert.match(`${report.exit}: ${report.stdout}`, /^8: .*No file system was found/s);
  assert.match(await cloud.done('images create golden --from one --wait'), /image golden: available/);
  await cloud.done('launch two --image golden --type tiny --no-key --wait');
  await until('it boots', async () => (await cloud.done('log two')).includes(greeting.trim()));
  await cloud.done('delete one two --yes --wait');
  await cloud.done('images delete golden tiny --yes --wait');
  assert.deepEqual(left(), []);
});
