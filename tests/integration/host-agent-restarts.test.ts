// A host agent whose libvirtd comes and goes, in namespaces of its own. Guests go on meanwhile, and so must the agent.
import assert from 'node:assert/strict';
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { HostAgent } from '@virga/contract/agent/agent';
import { type DesiredInstance, instanceDefaults } from '@virga/contract/agent/desired';
import type { AgentEvent } from '@virga/contract/agent/observed';
import { VirgaError } from '@virga/contract/errors';
import { type ImageId, newId } from '@virga/contract/ids';
import { tinyGuestDisk } from '@virga/host-agent/contract-suite/tiny-guest';
import { openLibvirtAgent } from '@virga/host-agent/libvirt/libvirt-agent';
import { type Hypervisor, startHypervisor } from '@virga/testing/hypervisor';
import { until } from '@virga/testing/until';
import { openServerLog } from 'virga/server/server-log';

const cloudId = 'restarts';
const soonMs = 2_000;
let hypervisor: Hypervisor;
let folder: string;
let agent: HostAgent;
let imageId: ImageId;
let isRunning = true;

before(async () => {
  hypervisor = await startHypervisor();
  folder = await mkdtemp(join(tmpdir(), 'virga-restarts.'));
  await chmod(folder, 0o711);
  agent = await openAgent();
  imageId = newId('image');
  const path = join(folder, 'guest.raw');
  await writeFile(path, tinyGuestDisk({ answersAcpi: true }));
  await agent.importImage({ id: imageId, cloudId, generation: 1, source: { kind: 'file', path }, format: 'raw' });
});

after(async () => {
  if (!isRunning) await start();
  for (const { id } of await agent.listInstances(cloudId)) await agent.deleteInstance(made.get(id)!);
  await agent.close();
  await hypervisor.close();
  await rm(folder, { recursive: true });
});

const openAgent = () => {
  const log = openServerLog({ path: join(folder, 'agent.log'), level: 'debug' });
  return openLibvirtAgent({ storagePath: join(folder, 'storage'), acceleration: 'tcg', log });
};

async function kill(): Promise<void> {
  await hypervisor.kill();
  isRunning = false;
}

async function start(): Promise<void> {
  await hypervisor.start();
  isRunning = true;
}

const made = new Map<string, DesiredInstance>();

function instance(): DesiredInstance {
  const id = newId('instance');
  const desired: DesiredInstance = {
    ...instanceDefaults,
    id,
    cloudId,
    projectId: newId('project'),
    name: 'guest',
    uuid: crypto.randomUUID(),
    domainName: `restarts-${id}`,
    generation: 1,
    vcpus: 1,
    maxVcpus: 1,
    memoryMib: 64,
    maxMemoryMib: 64,
    firmware: 'bios',
    rootDisk: { id: newId('volume'), imageId, sizeBytes: 1024 * 1024 },
    nics: [],
    seed: { hostName: 'guest', publicKeys: [], userData: null },
    power: { state: 'running' },
    reboot: null,
  };
  made.set(id, desired);
  return desired;
}

async function isUnavailable(work: Promise<unknown>): Promise<void> {
  await assert.rejects(work, (error) => {
    assert.ok(error instanceof VirgaError && error.code === 'HostUnavailable', String(error));
    assert.match(error.action, /libvirtd|tried again/);
    return true;
  });
}

const pidOf = async ({ domainName }: DesiredInstance) =>
  Number(await readFile(`/run/libvirt/qemu/${domainName}.pid`, 'utf8'));

test('a libvirtd that is killed is told, and once it is back the watcher has all anew, also what changed meanwhile', async (t) => {
  const [survivor, victim] = [instance(), instance()];
  await Promise.all([agent.applyInstance(survivor), agent.applyInstance(victim)]);
  const survivorPid = await pidOf(survivor);
  const stop = new AbortController();
  const seen: AgentEvent[] = [];
  const reading = (async () => {
    for await (const event of agent.watch(cloudId, stop.signal)) seen.push(event);
  })();
  t.after(async () => {
    stop.abort();
    await reading;
  });
  await until('the first event', () => seen.length > 0);

  await kill();
  const told = await until('word of the outage', () => seen.find(({ type }) => type === 'unreachable'), {
    timeoutMs: soonMs,
  });
  assert.ok(told.type === 'unreachable' && /\w/.test(told.detail) && /\w/.test(told.action));
  await isUnavailable(agent.facts());
  await isUnavailable(agent.applyInstance(survivor));
  process.kill(await pidOf(victim), 'SIGKILL');

  const from = seen.length;
  await start();
  const ready = await until('all anew', () => seen.slice(from).find(({ type }) => type === 'ready'), {
    timeoutMs: soonMs + 1_000,
  });
  assert.ok(ready.type === 'ready');
  const states = new Map(ready.instances.map(({ id, state }) => [id, state]));
  assert.equal(states.get(survivor.id), 'running');
  assert.equal(states.get(victim.id), 'stopped');
  assert.equal((await agent.applyInstance(victim)).state, 'running');
  assert.equal(await pidOf(survivor), survivorPid, 'the other guest went on');
});

test('a launch during which libvirtd dies goes on when it is back, and ends with one domain', async () => {
  const desired = instance();
  const interrupted = isUnavailable(agent.applyInstance(desired));
  await until('the definition', async () => {
    const xml = await readFile(`/etc/libvirt/qemu/${desired.domainName}.xml`, 'utf8').catch(() => '');
    return xml.includes(desired.uuid);
  });
  await kill();
  await interrupted;
  await start();
  const observed = await until('the agent to be back', async () => agent.applyInstance(desired).catch(() => undefined));
  assert.deepEqual([observed.state, observed.intact], ['running', true]);
  assert.equal((await agent.listInstances(cloudId)).filter(({ id }) => id === desired.id).length, 1);
});

test('an agent is opened, and has images, while libvirtd is down; it works once libvirtd is up', async () => {
  await kill();
  const early = await openAgent();
  assert.equal((await early.listImages(cloudId)).length, 1);
  await isUnavailable(early.facts());
  await isUnavailable(early.listInstances(cloudId));
  await start();
  assert.equal((await early.facts()).acceleration.mode, 'tcg');
  await early.close();
});
