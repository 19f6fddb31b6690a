// One real guest from the starter image, from nothing to nothing: what only an operating system can show.
import assert from 'node:assert/strict';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { newId } from '@virga/contract/ids';
import { until } from '@virga/testing/until';
import { openTestHost, type TestHost } from './testing/test-host.ts';

let host: TestHost;

before(async () => {
  host = await openTestHost(11);
});

after(() => host.close());

test('a starter guest boots, is leased its address, shuts down by the button, starts again and leaves nothing', async () => {
  const { agent, cloudId, outside, storagePath } = host;
  const path = process.env.VIRGA_TEST_STARTER_IMAGE;
  assert.ok(path, 'script/test names the starter image');
  const imageId = newId('image');
  const image = await agent.importImage({
    id: imageId,
    cloudId,
    generation: 1,
    source: { kind: 'file', path },
    format: 'qcow2',
  });
  assert.match(image.sha256, /^[0-9a-f]{64}$/);
  const network = host.network();
  assert.equal((await agent.applyNetwork(network)).active, true);

  const desired = host.instance(network, imageId, {
    memoryMib: 192,
    seed: { hostName: 'starter-1', publicKeys: [], userData: null },
  });
  const applied = await agent.applyInstance(desired);
  assert.deepEqual(
    { state: applied.state, reason: applied.reason, intact: applied.intact, generation: applied.generation },
    { state: 'running', reason: 'booted', intact: true, generation: 1 },
  );
  const networkRef = await outside.networks.lookupByUuid(network.uuid);
  await until(
    'the prompt of the starter image',
    async () => (await agent.consoleLog(desired.id, 100_000)).bytes.includes('root@'),
    { timeoutMs: 60_000, intervalMs: 250 },
  );
  const [lease] = await outside.networks.dhcpLeases(networkRef);
  assert.equal(lease?.address, desired.nics[0]?.address);

  await until(
    'the guest tells what it uses of its memory',
    async () => {
      const seen = (await agent.hostUsage()).domains.find(({ uuid }) => uuid === desired.uuid)?.memory;
      return seen?.usedKib && seen.usedKib < seen.currentKib;
    },
    { timeoutMs: 60_000, intervalMs: 500 },
  );

  const stopped = {
    ...desired,
    generation: 2,
    power: { state: 'stopped' as const, forceAt: new Date(Date.now() + 90_000).toISOString() },
  };
  assert.equal((await agent.applyInstance(stopped)).state, 'stopping');
  const off = await until(
    'the guest to be off',
    async () => {
      const seen = await agent.applyInstance(stopped);
      return seen.state === 'stopped' && seen;
    },
    { timeoutMs: 80_000, intervalMs: 500 },
  );
  assert.equal(off.reason, 'guest-shutdown');
  assert.equal((await agent.applyInstance({ ...desired, generation: 3 })).state, 'running');

  await agent.deleteInstance(desired);
  assert.deepEqual(await agent.listInstances(cloudId), []);
  assert.deepEqual(await readdir(join(storagePath, 'instances')), []);
  assert.doesNotMatch(await outside.networks.xml(networkRef), /<host /);
});
