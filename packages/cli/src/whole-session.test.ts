// The command line against the real control plane, over a simulated host: one session as a person would have it.
import assert from 'node:assert/strict';
import { truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { type CapturedCli, type CliRun, captureCli } from '@virga/testing/captured-cli';
import { startTemporaryCloud, type TemporaryCloud } from '@virga/testing/temporary-cloud';

let cloud: TemporaryCloud;
let cli: CapturedCli;

before(async () => {
  cloud = await startTemporaryCloud();
  const { accessKeyId, secret } = cloud.credentials;
  cli = await captureCli(cloud.url, { VIRGA_ACCESS_KEY_ID: accessKeyId, VIRGA_SECRET_ACCESS_KEY: secret });
});

after(async () => {
  await cli?.[Symbol.asyncDispose]();
  await cloud?.close();
});

/** Runs a line that must succeed; words are apart at spaces. */
async function done(line: string, options: Parameters<CapturedCli['run']>[1] = {}): Promise<CliRun> {
  const run = await cli.run(line.split(' '), options);
  assert.equal(run.exit, 0, `virga ${line}: ${run.stderr}`);
  return run;
}

async function json(line: string) {
  return JSON.parse((await done(`${line} --output json`)).stdout);
}

test('a cloud is prepared: network, image, type and key', async () => {
  const file = join(cli.home, 'disk.raw');
  await writeFile(file, '');
  await truncate(file, 1024 * 1024);
  assert.match((await done('networks create default --cidr 10.99.0.0/24 --wait')).stdout, /network default: active/);
  const image = await done(`images register ${file} --name starter --format raw --login-user virga --wait`);
  assert.match(image.stdout, /image starter: available/);
  await done('types create bench --vcpus 1 --memory 128 --disk 1');
  await done('keys create laptop');
  assert.match((await done('keys')).stdout, /laptop .*\.config\/virga\/keys\/laptop/);
  assert.match((await done('hosts')).stdout, /sim-1 +host-\w+ +ready/);
  assert.match((await done('types')).stdout, /bench +1 +128 MiB +1 GiB/);
  assert.match((await done('whoami')).stdout, /Project +default/);
});

test('an instance is launched, looked at, stopped, started, rebooted, destroyed and deleted', async () => {
  const launched = await done('launch web --image starter --type bench --wait');
  assert.match(launched.stdout, /^instance web: running at 10\.99\.0\.\d+\n$/);
  assert.match(launched.stderr, /log in: virga ssh web/);
  const shown = await json('show web');
  assert.deepEqual([shown.state, shown.type, shown.keyPairs], ['running', 'bench', ['laptop']]);
  assert.match((await done('list')).stdout, /web +i-\w+ +running +10\.99\.0\.\d+ +bench +starter +sim-1/);
  assert.match((await done('xml web')).stdout, /<domain/);
  assert.match((await done('ssh web --print')).stdout, /^ssh -i .*keys\/laptop.* -l virga 10\.99\.0\.\d+\n$/);
  assert.match((await done('log web')).stdout, /^\[boot 1\] web\r\n/);
  const typed = await done('console web --until uptime --timeout 30', { input: 'uptime\n' });
  assert.equal(typed.stdout, 'uptime\n');
  assert.equal((await done('stop web --wait --timeout 30')).stdout, 'instance web: stopped\n');
  assert.match((await done(`start ${shown.id} --wait`)).stdout, /instance web: running/);
  assert.match((await done('reboot web --hard --wait')).stdout, /instance web: running/);
  assert.equal((await done('destroy web --wait')).stdout, 'instance web: stopped\n');
  const off = await cli.run(['console', 'web']);
  assert.equal(off.exit, 4, off.stderr);
  assert.equal((await done('delete web --yes --wait')).stdout, 'instance web: deleted\n');
  assert.deepEqual(await json('list'), []);
});

test('operations and events tell what was done, and events are followed from where one was', async () => {
  const operations = await json('operations --limit 5');
  assert.equal(operations[0].kind, 'instance.delete');
  await done(`operations wait ${operations[0].id}`);
  assert.match((await done(`operations show ${operations[0].id}`)).stdout, /State +succeeded/);
  const events = await json('events --limit 1000');
  assert.ok(events.length > 5);
  const interrupt = new AbortController();
  const followed = await cli.run(['events', '--follow', '--after', events[0].cursor, '-o', 'json'], {
    interrupt: interrupt.signal,
    onOutput: ({ stdout }) => {
      if (stdout.split('\n').length >= events.length) interrupt.abort();
    },
  });
  assert.equal(followed.exit, 130);
  const lines = followed.stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line).cursor);
  assert.deepEqual(
    lines.slice(0, events.length - 1),
    events.slice(1).map(({ cursor }: { cursor: string }) => cursor),
  );
});

test('people are let in and out', async () => {
  await done('projects create shop');
  await done('users create ann --password-stdin', { input: 'a long enough password\n' });
  await done('members set ann operator --project shop');
  assert.match((await done('members --project shop')).stdout, /ann +user-\w+ +operator/);
  const env = { VIRGA_ACCESS_KEY_ID: '', VIRGA_SECRET_ACCESS_KEY: '' };
  await done('login --user ann --password-stdin --project shop', { input: 'a long enough password\n', env });
  assert.match((await done('whoami', { env })).stdout, /Project role +operator/);
  const forbidden = await cli.run(['hosts'], { env });
  assert.equal(forbidden.exit, 5);
  assert.match((await done('logout', { env })).stdout, /revoked the API key/);
  const created = await json('api-keys create --user ann --for-project shop --days 1');
  assert.match(created.apiKey.expiresAt, /Z$/);
  await done('members remove ann --project shop');
  await done('users delete ann --yes');
  await done('projects delete shop --yes');
});

const refused: [string, string, number, RegExp][] = [
  ['an unknown image', 'launch a --image nope --type bench', 3, /nope/],
  ['an unknown type', 'launch a --image starter --type nope', 3, /nope/],
  ['an unknown key', 'launch a --image starter --type bench --key nope', 3, /nope/],
  ['an image that is nearly right', 'launch a --image startr --type bench', 3, /Did you mean starter\?/],
  ['a type that is nearly right', 'launch a --image starter --type bnech', 3, /Did you mean bench\?/],
  ['a key that is nearly right', 'launch a --image starter --type bench --key latpop', 3, /Did you mean laptop\?/],
  ['a bad name', 'launch A_b --image starter --type bench', 2, /name/],
  ['a network that is taken', 'networks create default --cidr 10.98.0.0/24', 4, /default/],
  ['an unknown instance', 'show nope', 3, /no instance named nope/],
  ['an operation that is none', 'operations show nope', 3, /nope is not the id of an operation/],
];

for (const [what, line, exit, message] of refused) {
  test(`${what} is refused with exit ${exit}, a sentence and what to do`, async () => {
    const run = await cli.run(line.split(' '));
    assert.equal(run.exit, exit, run.stderr);
    assert.match(run.stderr, message);
    assert.match(run.stderr, /^error: .+\n {2}try: .+\n$/);
    assert.deepEqual(await json('list'), []);
  });
}

test('a type that no host can hold is refused with exit 2', async () => {
  await done('types create giant --vcpus 512 --memory 16777216 --disk 1');
  const run = await cli.run(['launch', 'a', '--image', 'starter', '--type', 'giant']);
  assert.equal(run.exit, 2, run.stderr);
});

test('a wrong secret is exit 5', async () => {
  const run = await cli.run(['list'], { env: { VIRGA_SECRET_ACCESS_KEY: 'wrong' } });
  assert.equal(run.exit, 5);
});
