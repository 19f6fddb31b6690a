// A real guest that gets other sizes while it runs, and what it makes of them: what only an operating system can show.
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { DesiredInstance } from '@virga/contract/agent/desired';
import { newId } from '@virga/contract/ids';
import { until } from '@virga/testing/until';
import { tinyGuestDisk } from '../contract-suite/tiny-guest.ts';
import { gibibyte, openTestHost, type TestHost } from './testing/test-host.ts';

/** Two boots, on a machine that may be busy. */
const testMs = 280_000;
let host: TestHost;

before(async () => {
  host = await openTestHost(41);
});

after(() => host.close());

async function run(id: DesiredInstance['id'], script: string): Promise<string> {
  const { exitCode, stdout, stderr } = await host.agent.guestExec(id, {
    command: ['sh', '-c', script],
    waitMs: 30_000,
  });
  assert.equal(exitCode, 0, stderr.toString());
  return stdout.toString().trim();
}

const agentAnswers = (id: DesiredInstance['id']) =>
  until(
    'the agent of the guest',
    () =>
      host.agent.guestInfo(id).then(
        () => true,
        () => false,
      ),
    { timeoutMs: 120_000, intervalMs: 500 },
  );

const vcpus = async (id: DesiredInstance['id']) => Number(await run(id, 'nproc'));
const memoryMib = async (id: DesiredInstance['id']) =>
  Math.round(Number(await run(id, "awk '/^MemTotal/ { print $2 }' /proc/meminfo")) / 1024);
const rootMib = async (id: DesiredInstance['id']) => Number(await run(id, "df -m / | awk 'END { print $2 }'"));
const bootId = (id: DesiredInstance['id']) => run(id, 'cat /proc/sys/kernel/random/boot_id');

test('a running guest is given vCPUs, memory and disk, gives memory back, and a power cycle does the rest', {
  timeout: testMs,
}, async () => {
  const { agent, cloudId } = host;
  const path = process.env.VIRGA_TEST_STARTER_IMAGE;
  assert.ok(path, 'script/test names the starter image');
  const imageId = newId('image');
  const source = { kind: 'file' as const, path };
  await agent.importImage({ id: imageId, cloudId, generation: 1, source, format: 'qcow2' });
  const network = host.network();
  await agent.applyNetwork(network);
  const small = host.instance(network, imageId, { memoryMib: 256, maxMemoryMib: 512, maxVcpus: 2 });
  const { id } = small;
  const launched = await agent.applyInstance(small);
  assert.deepEqual(launched.sizes, { vcpus: 1, memoryMib: 256 });
  await agentAnswers(id);
  const before = { memoryMib: await memoryMib(id), rootMib: await rootMib(id), boot: await bootId(id) };
  assert.equal(await vcpus(id), 1);

  // The host is short of memory: the guest lends some, of which what it is to have knows nothing.
  const usableKib = await until(
    'the guest to tell what it could do without',
    async () => (await memory(id))?.usableKib ?? undefined,
  );
  assert.ok(usableKib > 64 * 1024 && usableKib < 256 * 1024, `${usableKib} KiB`);
  assert.equal(await agent.lendMemory(id, 192), true);
  await until('the guest to have lent memory', async () => (await memory(id))?.currentKib === 192 * 1024);
  assert.equal(await memoryMib(id), before.memoryMib - 64);
  assert.equal((await memory(id))?.promisedKib, 256 * 1024);
  assert.equal(await agent.lendMemory(id, 4096), true);
  await until('the guest to have it again', async () => (await memory(id))?.currentKib === 256 * 1024);
  assert.equal(await memoryMib(id), before.memoryMib);

  const rootDisk = { ...small.rootDisk, sizeBytes: 2 * gibibyte };
  const grown = { ...small, generation: 2, vcpus: 2, memoryMib: 512, rootDisk };
  const observed = await agent.applyInstance(grown);
  assert.equal(observed.notes, undefined);
  assert.equal(observed.sizes?.vcpus, 2);
  assert.equal(await vcpus(id), 2);
  assert.ok((await rootMib(id)) > before.rootMib + 800, 'the file system is as large as the disk');
  await until('the guest to have its memory', async () => (await memoryMib(id)) === before.memoryMib + 256);
  await until('the host to show it', async () => (await sizes(id))?.memoryMib === 512);

  const shrunk = { ...grown, generation: 3, memoryMib: 192 };
  await agent.applyInstance(shrunk);
  await until('the guest to have given memory back', async () => (await sizes(id))?.memoryMib === 192);
  assert.equal(await memoryMib(id), before.memoryMib - 64);

  // One vCPU less is more than an emulated guest can do, so it keeps two and the host says so.
  const one = { ...shrunk, generation: 4, vcpus: 1, maxVcpus: 1 };
  assert.equal((await agent.applyInstance(one)).sizes?.vcpus, 2);
  assert.equal(await bootId(id), before.boot, 'nothing of this has interrupted it');

  const forceAt = new Date(Date.now() + 90_000).toISOString();
  const cycled = { ...one, generation: 5, memoryMib: 320, reboot: { token: 'cycle', how: 'cycle' as const, forceAt } };
  const again = await until(
    'the guest to be off and on again',
    async () => {
      const seen = await agent.applyInstance(cycled);
      return seen.state === 'running' && seen.sizes?.vcpus === 1 && seen;
    },
    { timeoutMs: 100_000, intervalMs: 500 },
  );
  assert.deepEqual(again.sizes, { vcpus: 1, memoryMib: 320 });
  await agentAnswers(id);
  assert.notEqual(await bootId(id), before.boot);
  // A kernel keeps book of its memory, so a little less than 64 MiB more.
  assert.ok((await memoryMib(id)) > before.memoryMib + 56);
});

test('a guest under KVM is given vCPUs, and keeps them when it does not let go', {
  skip: !existsSync('/dev/kvm') && 'there is no /dev/kvm',
}, async (t) => {
  const { agent, cloudId } = host;
  const onKvm = await host.openAgent({ acceleration: 'kvm' });
  const path = join(host.storagePath, 'tiny.raw');
  await writeFile(path, tinyGuestDisk({ answersAcpi: true }), { mode: 0o644 });
  const imageId = newId('image');
  const source = { kind: 'file' as const, path };
  await agent.importImage({ id: imageId, cloudId, generation: 1, source, format: 'raw' });
  const network = host.network({ cidr: '10.77.43.0/24', gateway: '10.77.43.1' });
  await agent.applyNetwork(network);
  const two = host.instance(network, imageId, { vcpus: 2, maxVcpus: 3 });
  t.after(() => agent.deleteInstance(two));
  assert.equal((await onKvm.applyInstance(two)).sizes?.vcpus, 2);
  assert.equal((await onKvm.applyInstance({ ...two, generation: 2, vcpus: 3 })).sizes?.vcpus, 3);
  // A boot sector knows no ACPI, by which a guest is told to take a vCPU out.
  const kept = await onKvm.applyInstance({ ...two, generation: 3, vcpus: 1 });
  assert.deepEqual([kept.state, kept.generation, kept.sizes?.vcpus], ['running', 3, 3]);
  assert.deepEqual(kept.notes, ['The guest did not let go of its vCPUs; it has fewer when it is started again.']);
});

async function memory(id: DesiredInstance['id']) {
  return (await host.agent.hostMemory(host.cloudId)).guests.find((guest) => guest.id === id);
}

async function sizes(id: DesiredInstance['id']) {
  return (await host.agent.listInstances(host.cloudId)).find((instance) => instance.id === id)?.sizes;
}
