import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { OperationId } from '@virga/contract/ids';
import { SimulatedCloud } from '@virga/testing/simulated-cloud';
import { until } from '@virga/testing/until';
import { registerImage } from '../images/image-operations.ts';
import { createNetwork } from '../networks/network-operations.ts';
import { deleteInstance, getInstance, launchInstance, startInstance, stopInstance } from './instance-operations.ts';

let cloud: SimulatedCloud;
let folder: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'virga-'));
  writeFileSync(join(folder, 'disk.raw'), Buffer.alloc(1024 * 1024));
  cloud = await SimulatedCloud.start({ logLevel: 'warn' });
  const { operationId } = await createNetwork(cloud.deps, cloud.administrator, {
    name: 'default',
    cidr: '10.77.0.0/24',
  });
  await ended(operationId);
  const image = await registerImage(cloud.deps, cloud.administrator, {
    name: 'disk',
    path: join(folder, 'disk.raw'),
    format: 'raw',
  });
  await ended(image.operationId);
});
after(async () => {
  await cloud.close();
  await rm(folder, { recursive: true });
});

async function ended(id: OperationId) {
  const row = await until(
    'the operation has ended',
    async () => {
      const found = await cloud.deps.db
        .selectFrom('operations')
        .selectAll()
        .where('id', '=', id)
        .executeTakeFirstOrThrow();
      return found.finished_at !== null && found;
    },
    { timeoutMs: 5000 },
  );
  return row;
}

test('an instance is launched, stopped, started and deleted', async () => {
  const t0 = performance.now();
  const launched = await launchInstance(cloud.deps, cloud.operator, { name: 'web', image: 'disk', type: 'tiny' });
  assert.equal(launched.instance.state, 'pending');
  const t1 = performance.now();
  assert.equal((await ended(launched.operationId)).state, 'succeeded');
  console.log('launch request', t1 - t0, 'ended after', performance.now() - t1);
  const { id } = launched.instance;
  assert.equal((await getInstance(cloud.deps.db, cloud.operator, id)).state, 'running');
  assert.equal((await ended((await stopInstance(cloud.deps, cloud.operator, id)).operationId)).state, 'succeeded');
  assert.equal((await getInstance(cloud.deps.db, cloud.operator, id)).state, 'stopped');
  assert.equal((await ended((await startInstance(cloud.deps, cloud.operator, id)).operationId)).state, 'succeeded');
  assert.equal((await ended((await deleteInstance(cloud.deps, cloud.operator, id)).operationId)).state, 'succeeded');
  await assert.rejects(getInstance(cloud.deps.db, cloud.operator, id), { code: 'NotFound' });
});
