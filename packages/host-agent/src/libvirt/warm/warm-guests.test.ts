// Instant launches with real guests of the starter image: one template, its copies, and what each of them has of its own.
// Times depend on the machine, so cold and warm are measured beside each other.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { randomBytes, randomUUID } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import type { DesiredInstance, DesiredNetwork } from '@virga/contract/agent/desired';
import type { DesiredTemplate } from '@virga/contract/agent/warm';
import { VirgaError } from '@virga/contract/errors';
import { newId } from '@virga/contract/ids';
import { until } from '@virga/testing/until';
import { gibibyte, openTestHost, type TestHost } from '../testing/test-host.ts';

const run = promisify(execFile);
/** Several boots, on a machine that may be busy. */
const testMs = 400_000;
const imageId = newId('image');
let host: TestHost;
let network: DesiredNetwork;
let template: DesiredTemplate;
let folder: string;
let publicKey: string;
let lastOctet = 20;
/** Step at which a call fails, and with what. */
let failing: { step: string; error: Error } | undefined;

before(async () => {
  host = await openTestHost(61, {
    hook: (step) => {
      if (failing?.step === step) throw failing.error;
    },
  });
  const path = process.env.VIRGA_TEST_STARTER_IMAGE;
  assert.ok(path, 'script/test names the starter image');
  folder = await mkdtemp(join(tmpdir(), 'virga-warm-test.'));
  await run('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', join(folder, 'key')]);
  publicKey = (await readFile(join(folder, 'key.pub'), 'utf8')).trim();
  const { agent, cloudId } = host;
  await agent.importImage({ id: imageId, cloudId, generation: 1, source: { kind: 'file', path }, format: 'qcow2' });
  network = host.network();
  await agent.applyNetwork(network);
  const domainName = `vt${randomBytes(5).toString('hex')}`;
  const sizes = { vcpus: 1, memoryMib: 256, diskBytes: gibibyte };
  template = { id: newId('template'), cloudId, uuid: randomUUID(), domainName, imageId, ...sizes };
});

after(async () => {
  await host.close();
  await rm(folder, { recursive: true });
});

function instance(name: string, changes: Partial<DesiredInstance> = {}): DesiredInstance {
  const desired = host.instance(network, imageId);
  const address = desired.nics[0]!.address.replace(/\d+$/, String(lastOctet++));
  return {
    ...desired,
    name,
    memoryMib: template.memoryMib,
    maxMemoryMib: template.memoryMib,
    nics: [{ ...desired.nics[0]!, address }],
    seed: { hostName: name, publicKeys: [publicKey], userData: null },
    warm: { templateId: template.id },
    ...changes,
  };
}

const shellOf = ({ id, cloudId, uuid, domainName }: DesiredInstance) => ({
  ...{ id, cloudId, uuid, domainName },
  templateId: template.id,
});

/** Seconds until the SSH server of the instance greets. */
async function greeting({ nics }: DesiredInstance): Promise<void> {
  await until(
    'the SSH server greets',
    () =>
      new Promise<boolean>((resolve) => {
        const socket = connect({ host: nics[0]!.address, port: 22, timeout: 300 });
        const end = (isThere: boolean) => {
          socket.destroy();
          resolve(isThere);
        };
        socket.once('data', (bytes) => end(bytes.toString().startsWith('SSH-')));
        socket.once('error', () => end(false)).once('timeout', () => end(false));
      }),
    { timeoutMs: 120_000, intervalMs: 10 },
  );
}

async function secondsToSsh(desired: DesiredInstance): Promise<number> {
  const startedMs = performance.now();
  const applied = host.agent.applyInstance(desired);
  await Promise.all([applied, greeting(desired)]);
  assert.equal((await applied).state, 'running');
  return (performance.now() - startedMs) / 1000;
}

async function ssh({ nics }: DesiredInstance, command: string): Promise<string> {
  const settings = ['StrictHostKeyChecking=no', 'UserKnownHostsFile=/dev/null', 'BatchMode=yes', 'LogLevel=ERROR'];
  const options = settings.flatMap((setting) => ['-o', setting]);
  const target = ['-F', '/dev/null', '-i', join(folder, 'key'), `root@${nics[0]!.address}`, command];
  return (await run('ssh', [...options, ...target], { timeout: 60_000 })).stdout.trim();
}

/** What two machines must never have in common, and their names. */
async function identityOf(desired: DesiredInstance) {
  const scan = await run('ssh-keyscan', ['-t', 'ed25519', desired.nics[0]!.address]);
  const random = 'head -c 16 /dev/urandom | hexdump -v -e \'1/1 "%02x"\'';
  const [hostName, machineId, drawn, uuid, mac] = (
    await ssh(
      desired,
      `hostname; cat /etc/machine-id; ${random}; echo; cat /proc/sys/kernel/random/uuid /sys/class/net/eth0/address`,
    )
  ).split('\n');
  return { hostKey: scan.stdout.trim().split(' ')[2], hostName, machineId, drawn, uuid, mac };
}

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
  const { agent, cloudId, storagePath } = host;
  const { warm: _, ...cold } = instance('cold');
  const coldSeconds = await secondsToSsh(cold);
  const made = await agent.applyTemplate(template);
  assert.deepEqual(made, { id: template.id, cloudId, state: 'ready', clones: 0 });
  assert.deepEqual(await agent.listTemplates(cloudId), [made]);
  assert.deepEqual(
    (await agent.listInstances(cloudId)).map(({ id }) => id),
    [cold.id],
    'a template is no instance',
  );

  const copies = ['web-1', 'web-2', 'web-3'].map((name) => instance(name));
  const warmSeconds: number[] = [];
  for (const copy of copies) {
    const shell = await agent.applyShell(shellOf(copy));
    assert.deepEqual(shell, { ...shellOf(copy), isReady: true });
    assert.deepEqual(await agent.listShells(cloudId), [shell]);
    assert.equal(
      (await agent.listInstances(cloudId)).some(({ id }) => id === copy.id),
      false,
      'a shell is no instance',
    );
    warmSeconds.push(await secondsToSsh(copy));
    const [observed] = (await agent.listInstances(cloudId)).filter(({ id }) => id === copy.id);
    assert.deepEqual([observed?.state, observed?.intact, observed?.warm], ['running', true, true]);
    assert.deepEqual(await agent.listShells(cloudId), []);
  }
  const median = [...warmSeconds].sort((a, b) => a - b)[1]!;
  t.diagnostic(
    `SSH greets: cold ${coldSeconds.toFixed(2)} s, warm ${warmSeconds.map((s) => s.toFixed(2)).join(' ')} s, ratio ${(median / coldSeconds).toFixed(3)}`,
  );
  assert.ok(median < coldSeconds / 3, 'a copy is not much faster than a boot');

  const identities = await Promise.all([cold, ...copies].map(identityOf));
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
  const clock = Number(await ssh(copies[0]!, 'date +%s'));
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
    const [before, now] = [identities[1]!, await identityOf(copy)];
    assert.deepEqual({ ...now, drawn: before.drawn, uuid: before.uuid }, before);
  });

  await t.test('and whose template goes with the last of them, its memory at once', async () => {
    const inUse = (error: unknown) => error instanceof VirgaError && error.code === 'InUse';
    await assert.rejects(agent.deleteImage({ id: imageId, cloudId }), inUse);
    await assert.rejects(agent.deleteTemplate(template), inUse);
    await assert.rejects(stat(join(storagePath, 'templates', template.id, 'memory')), /ENOENT/);
    assert.deepEqual(
      (await agent.listTemplates(cloudId)).map(({ state, clones }) => [state, clones]),
      [['stale', 3]],
    );
    const late = instance('late');
    assert.equal((await agent.applyInstance(late)).warm, undefined, 'what cannot begin as a copy begins cold');
    for (const one of [cold, late, ...copies]) await agent.deleteInstance(one);
    await agent.deleteTemplate(template);
    assert.deepEqual(await readdir(join(storagePath, 'templates')), []);
    assert.deepEqual(await readdir(join(storagePath, 'instances')), []);
  });
});
