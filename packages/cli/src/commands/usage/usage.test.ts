import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { stripVTControlCharacters } from 'node:util';
import { type CapturedCli, captureCli } from '@virga/testing/captured-cli';
import { aHost, exampleNowMs } from '@virga/testing/contract-examples';
import { type ContractServer, serveContract } from '@virga/testing/contract-server';
import { aHostUsage, anInstanceVerdict, aUsageReport } from '@virga/testing/usage-examples';

let server: ContractServer;
let cli: CapturedCli;

const idle = anInstanceVerdict({
  name: 'forgotten',
  verdict: 'idle',
  recommendedType: null,
  frees: { vcpus: 4, memoryMib: 8192 },
});
const cramped = anInstanceVerdict({
  name: 'cramped',
  verdict: 'undersized',
  recommendedType: 'xlarge',
  frees: { vcpus: -4, memoryMib: -8192 },
});
const held = anInstanceVerdict({
  name: 'held',
  verdict: 'undersized',
  recommendedType: null,
  frees: { vcpus: 0, memoryMib: 0 },
});

before(async () => {
  server = await serveContract({
    listHosts: () => ({ items: [aHost(), aHost({ id: 'host-00000000000000002', name: 'silent' })] }),
    getHostUsage: ({ params }) => ({ ...aHostUsage(), ...(params.id.endsWith('2') && { points: [] }) }),
    getUsageReport: () => aUsageReport({ instances: [idle, cramped, held] }),
  });
  cli = await captureCli(server.url, {}, exampleNowMs);
});
after(async () => {
  await cli[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
  assert.deepEqual(server.faults, []);
});

test('every host is a line, and one of which nothing was recorded too', async () => {
  const { stdout, exit } = await cli.run(['hosts', 'usage']);
  assert.equal(exit, 0);
  const [, alpha, silent] = stdout.split('\n');
  assert.match(alpha!, /^alpha +25 % +49 % +4 GiB +1 MiB\/s +6 KiB\/s +▁+▂+▃+▄+$/);
  assert.match(silent!, /^silent +- +- +- +- +-$/);
});

test('the course is as wide as the terminal lets it be, and never makes two lines of one', async () => {
  for (const columns of [60, 80, 120]) {
    const { stdout } = await cli.run(['hosts', 'usage', 'alpha'], { columns });
    const lines = stripVTControlCharacters(stdout).trimEnd().split('\n');
    assert.ok(
      lines.every((line) => line.length <= columns),
      `${columns}: ${stdout}`,
    );
    assert.match(lines[1]!, /^processors .*▄$/, `${columns}: ${stdout}`);
  }
  const ascii = await cli.run(['hosts', 'usage', 'alpha'], { env: { LANG: 'C' } });
  assert.match(ascii.stdout, /^processors .* \.+:+-+=+$/m);
});

test('how far back is said in one word, and anything else is refused', async () => {
  await cli.run(['hosts', 'usage', 'alpha', '--since', '2d']);
  const { query } = server.seen.at(-1)!;
  assert.deepEqual(query, { from: '2026-02-27T14:00:00.000Z', to: '2026-03-01T14:00:00.000Z' });
  for (const since of ['yesterday', '0h', '2y']) {
    const refused = await cli.run(['hosts', 'usage', 'alpha', '--since', since]);
    assert.equal(refused.exit, 2);
    assert.match(refused.stderr, /--since cannot be .*\n.*30m, 6h, 2d or 4w/);
  }
});

test('a report says what each would free or needs, and its ids are those that something can be done about', async () => {
  const { stdout } = await cli.run(['hosts', 'report']);
  assert.match(stdout, /^forgotten +idle +large +off .* 4 vCPU, 8 GiB /m);
  assert.match(stdout, /^cramped +undersized +large +xlarge .* needs 4 vCPU, 8 GiB /m);
  assert.match(stdout, /^held +undersized +large +- /m);
  const { stdout: ids } = await cli.run(['hosts', 'report', '--quiet']);
  assert.equal(ids, `${[idle, cramped, held].map(({ id }) => id).join('\n')}\n`);
});
