// Waits of backups that have an end, of a hypervisor and of a store that do not answer.
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { newId } from '@virga/contract/ids';
import type { AgentContext } from '../agent-context.ts';
import { openStorage } from '../storage.ts';
import { awaitPush } from './await-push.ts';
import { runRestic } from './restic.ts';

const ref = { name: 'web', uuid: 'of the test', id: 1 } as unknown as Parameters<typeof awaitPush>[1];

test('reading that does not get on is given up', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'push-'));
  t.after(() => rm(folder, { recursive: true }));
  let minutes = 0;
  const jobStats = async () => ({ type: 'unbounded', parameters: { disk_processed: 5n, disk_total: 10n } });
  const context = {
    storage: await openStorage(folder),
    clock: {
      now: () => {
        minutes += 3;
        return minutes * 60_000;
      },
    },
    hypervisor: { ask: (_: string, work: (connection: unknown) => unknown) => work({ domains: { jobStats } }) },
  } as unknown as AgentContext;
  const told: number[] = [];
  const push = awaitPush(context, ref, { onProgress: (_, percent) => told.push(percent) });
  await assert.rejects(push, {
    code: 'HypervisorRefused',
    detail: /Nothing of the disks of web was read for 10 minutes/,
  });
  assert.ok(told.length > 1 && told.every((percent) => percent === 50));
});

test('a store that takes calls and answers none is not waited for without end', async (t) => {
  const silent = createServer(() => undefined);
  await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
  const folder = await mkdtemp(join(tmpdir(), 'silent-'));
  t.after(async () => {
    silent.close();
    await rm(folder, { recursive: true });
  });
  const { port } = silent.address() as { port: number };
  const store = {
    ...{ id: newId('backupStore'), cloudId: 'test', password: 'of the test', limitBytesPerSecond: null },
    place: {
      ...{ kind: 's3' as const, endpoint: `http://127.0.0.1:${port}`, bucket: 'bucket', prefix: '' },
      ...{ region: 'us-east-1', ca: null },
    },
    s3Keys: { accessKeyId: 'test', secretAccessKey: 'test' },
  };
  await assert.rejects(runRestic(store, folder, ['cat', 'config'], { patienceMs: 500 }), {
    code: 'BackupStoreUnavailable',
    detail: /nothing was heard of it/,
  });
});
