// Instant launches with real guests of the starter image: one template, its copies, and what each of them has of its own.
// Times depend on the machine, so they are told and not judged: bench/warm.ts does that.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { VirgaError } from '@virga/contract/errors';
import { until } from '@virga/testing/until';
import { greeting, WarmHost } from '../testing/warm-host.ts';

/** Several boots, on a machine that may be busy. */
const testMs = 280_000;
let warm: WarmHost;

before(async () => {
  warm = await WarmHost.open(61);
});

after(() => warm?.close());

const hashOf = async (path: string) =>
  createHash('sha256')
    .update(await readFile(path))
    .digest('hex');

async function memoryOf(domainName: string): Promise<{ residentMib: number; sharedMib: number }> {
  const pid = Number(await readFile(`/run/libvirt/qemu/${domainName}.pid`, 'utf8'));
  const maps = await readFile(`/proc/${pid}/smaps`, 'utf8');
  const mapping = maps.slice(maps.indexOf('/memory\n'));
  const kib = (name: string) => Number(new RegExp(`^${name}: +(\\d+) kB`, 'm').exec(mapping)?.[1] ?? 0);
  const sharedKib = kib('Shared_Clean') + kib('Shared_Dirty');
  return { residentMib: Math.round(kib('Rss') / 1024), sharedMib: Math.round(sharedKib / 1024) };
}

test('copies of one guest begin in a fraction of a boot, share its memory, and have nothing in common but that', {
  timeout: testMs,
}, async (t) => {
  const { host, template } = warm;
  const { agent, cloudId, storagePath } = host;
  const { warm: _, ...cold } = warm.instance('cold');
  const coldSeconds = await warm.secondsToSsh(cold);
  const made = await agent.applyTemplate(template);
  assert.deepEqual(made, { id: template.id, cloudId, state: 'ready', clones: 0 });
  assert.deepEqual(await agent.listTemplates(cloudId), [made]);
  assert.deepEqual(
    (await agent.listInstances(cloudId)).map(({ id }) => id),
    [cold.id],
    'a template is no instance',
  );

  const memory = join(storagePath, 'templates', template.id, 'memory');
  const kept = await hashOf(memory);

  const copies = ['web-1', 'web-2', 'web-3'].map((name) => warm.instance(name));
  const warmSeconds: number[] = [];
  for (const copy of copies) {
    const shell = await agent.applyShell(warm.shellOf(copy));
    assert.deepEqual(shell, { ...warm.shellOf(copy), isReady: true });
    assert.deepEqual(await agent.listShells(cloudId), [shell]);
    assert.equal(
      (await agent.listInstances(cloudId)).some(({ id }) => id === copy.id),
      false,
      'a shell is no instance',
    );
    warmSeconds.push(await warm.secondsToSsh(copy));
    const [observed] = (await agent.listInstances(cloudId)).filter(({ id }) => id === copy.id);
    assert.deepEqual([observed?.state, observed?.intact, observed?.warm], ['running', true, true]);
    assert.deepEqual(await agent.listShells(cloudId), []);
    // What others make of its definition is told from now on.
    await stat(join(storagePath, 'instances', copy.id, 'definition.xml'));
  }
  const median = [...warmSeconds].sort((a, b) => a - b)[1]!;
  t.diagnostic(
    `SSH greets: cold ${coldSeconds.toFixed(2)} s, warm ${warmSeconds.map((s) => s.toFixed(2)).join(' ')} s, ratio ${(median / coldSeconds).toFixed(3)}`,
  );

  const identities = await Promise.all([cold, ...copies].map((one) => warm.identityOf(one)));
  assert.deepEqual(
    identities.map(({ hostName }) => hostName),
    ['cold', 'web-1', 'web-2', 'web-3'],
  );
  assert.deepEqual(
    identities.map(({ mac }) => mac),
    [cold, ...copies].map(({ nics }) => nics[0]!.mac),
  );
  for (const what of ['hostKey', 'machineId', 'drawn', 'uuid'] as const) {
    const values = identities.map((identity) => identity[what]);
    assert.equal(new Set(values).size, values.length, `two machines share their ${what}: ${values.join(', ')}`);
    assert.ok(values.every(Boolean), `a machine has no ${what}`);
  }
  for (const copy of copies) {
    const { residentMib, sharedMib } = await memoryOf(copy.domainName);
    t.diagnostic(
      `${copy.name}: ${residentMib} MiB of the guest's memory are there, ${sharedMib} MiB of that are shared`,
    );
    assert.ok(sharedMib > residentMib / 4, `only ${sharedMib} of ${residentMib} MiB are shared`);
  }
  for (const { id, cloudId: _, ...guest } of (await agent.hostMemory(cloudId)).guests) {
    const isCopy = copies.some((copy) => copy.id === id);
    t.diagnostic(`saved by sharing: ${guest.templateSavedKib} KiB of ${guest.residentKib} KiB`);
    assert.equal(guest.templateSavedKib! > 0 && guest.templateSharedKib! > guest.templateSavedKib! / 2, isCopy);
    // Copies that wait belong to nobody yet, and the kernel merges across all.
    assert.equal(guest.mergeable, !isCopy);
  }
  // With free page reporting this memory would be punched out of the file, two seconds after the guest has given it up.
  await warm.ssh(copies[0]!, 'sync; echo 3 >/proc/sys/vm/drop_caches; sleep 4');
  assert.equal(await hashOf(memory), kept, 'a copy has changed what others see');
  const clock = Number(await warm.ssh(copies[0]!, 'date +%s'));
  assert.ok(Math.abs(clock - Date.now() / 1000) < 30, 'the clock of the copy stands where the template was made');

  await t.test('which are ordinary instances from then on: stopped, started, the same', async () => {
    const copy = copies[0]!;
    const stopped = { state: 'stopped' as const, forceAt: new Date(Date.now() + 60_000).toISOString() };
    await until(
      'the guest to be off',
      async () => (await agent.applyInstance({ ...copy, generation: 2, power: stopped })).state === 'stopped',
      { timeoutMs: 80_000, intervalMs: 500 },
    );
    const xml = await agent.domainXml(copy.id);
    assert.doesNotMatch(xml, /qemu:commandline|genid/);
    assert.equal((await agent.applyInstance({ ...copy, generation: 3 })).warm, true);
    await greeting(copy);
    const [before, now] = [identities[1]!, await warm.identityOf(copy)];
    assert.deepEqual({ ...now, drawn: before.drawn, uuid: before.uuid }, before);
  });

  const asleep = copies[1]!;
  await t.test('which hibernate, also when they have never been off', async () => {
    await warm.ssh(asleep, 'echo 42 >/run/remembered');
    const hibernated = { ...asleep, generation: 2, power: { state: 'hibernated' as const } };
    assert.equal((await agent.applyInstance(hibernated)).state, 'hibernated');
  });

  await t.test('and whose template goes with the last of them, its memory at once', async () => {
    const inUse = (error: unknown) => error instanceof VirgaError && error.code === 'InUse';
    await assert.rejects(agent.deleteImage({ id: template.imageId, cloudId }), inUse);
    await assert.rejects(agent.deleteTemplate(template), inUse);
    assert.equal((await stat(join(storagePath, 'templates', template.id, 'memory'))).blocks, 0);
    assert.equal(
      (await agent.applyInstance({ ...asleep, generation: 3, power: { state: 'running' } })).reason,
      'restored',
    );
    assert.equal(await warm.ssh(asleep, 'cat /run/remembered'), '42');
    assert.deepEqual(
      (await agent.listTemplates(cloudId)).map(({ state, clones }) => [state, clones]),
      [['stale', 3]],
    );
    const late = warm.instance('late');
    assert.equal((await agent.applyInstance(late)).warm, undefined, 'what cannot begin as a copy begins cold');
    for (const one of [cold, late, ...copies]) await agent.deleteInstance(one);
    await agent.deleteTemplate(template);
    assert.deepEqual(await readdir(join(storagePath, 'templates')), []);
    assert.deepEqual(await readdir(join(storagePath, 'instances')), []);
  });
});
