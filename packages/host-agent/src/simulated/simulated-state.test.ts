// The host beyond the life of one process: its journal, its guests, and its size.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFile, mkdtemp, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import {
  type DesiredImage,
  type DesiredInstance,
  type DesiredNetwork,
  instanceDefaults,
} from '@virga/contract/agent/desired';
import { VirgaError } from '@virga/contract/errors';
import { newId } from '@virga/contract/ids';
import { openSimulatedAgent, type SimulatedAgent, type SimulatedAgentOptions } from './simulated-agent.ts';
import { instantTimings } from './simulated-timings.ts';

const cloudId = 'cloud';

test('a host is after a SIGKILL what it was before, and a guest has shut down meanwhile', async (t) => {
  const { stateFile, desired } = await preparedHost(t);
  const script = `
    const { openSimulatedAgent } = await import(${JSON.stringify(new URL('./simulated-agent.ts', import.meta.url).href)});
    const agent = openSimulatedAgent({ name: 'host', stateFile: ${JSON.stringify(stateFile)}, timings: { guestShutdownMs: 30 } });
    const desired = ${JSON.stringify(desired)};
    await agent.applyInstance(desired);
    const power = { state: 'stopped', forceAt: '2100-01-01T00:00:00.000Z' };
    const { state } = await agent.applyInstance({ ...desired, generation: 2, power });
    process.stdout.write(state);
    process.kill(process.pid, 'SIGKILL');`;
  const child = spawn(process.execPath, ['--conditions=development', '--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let said = '';
  child.stdout.on('data', (chunk) => {
    said += chunk;
  });
  const [, signal] = await once(child, 'close');
  assert.deepEqual([said, signal], ['stopping', 'SIGKILL']);

  const agent = open(t, { stateFile, clock: { now: () => Date.now() + 1_000, delay: never } });
  const [observed, ...others] = await agent.listInstances(cloudId);
  assert.deepEqual(others, []);
  assert.deepEqual([observed?.id, observed?.state, observed?.reason], [desired.id, 'stopped', 'guest-shutdown']);
  assert.deepEqual([observed?.generation, observed?.intact, agent.bootCount(desired.id)], [2, true, 1]);
  const [network] = await agent.listNetworks(cloudId);
  assert.deepEqual(network?.leases, [{ mac: desired.nics[0]?.mac, address: desired.nics[0]?.address }]);
});

test('a last line that a crash tore counts as never written, and the journal goes on behind it', async (t) => {
  const { stateFile, desired } = await preparedHost(t);
  const before = open(t, { stateFile });
  await before.applyInstance(desired);
  await before.close();
  await truncate(stateFile, (await stat(stateFile)).size - 3);

  const torn = open(t, { stateFile });
  assert.deepEqual(await leases(torn), [], 'what was torn was the lease');
  await torn.applyInstance(desired);
  await torn.close();
  const after = open(t, { stateFile });
  assert.equal((await leases(after)).length, 1);
  assert.equal((await after.listInstances(cloudId))[0]?.state, 'running');
});

test('a journal that is damaged elsewhere is an error, not a host with less on it', async (t) => {
  const { stateFile } = await preparedHost(t);
  await appendFile(stateFile, 'rubbish\n["images","ami-1",null]\n');
  assert.throws(() => openSimulatedAgent({ name: 'host', stateFile }), SyntaxError);
});

test('the journal does not grow with what happens, only with what there is', async (t) => {
  const { stateFile, desired } = await preparedHost(t);
  const agent = open(t, { stateFile });
  for (let round = 0; round < 1_500; round++) {
    await agent.applyInstance(desired);
    agent.destroyOutside(desired.id);
  }
  const lines = (await readFile(stateFile, 'utf8')).split('\n').length;
  assert.ok(lines < 2_500, `${lines} lines after 3,000 changes and more`);
  assert.equal(agent.bootCount(desired.id), 1_500);
});

test('fails the next calls or steps as it is told, then works again', async (t) => {
  const { stateFile, desired } = await preparedHost(t);
  const agent = open(t, { stateFile });
  agent.failNext('listInstances', 'HostUnavailable', { times: 2 });
  agent.failNext('start', 'HypervisorRefused', { resourceId: desired.id });
  agent.failNext('start', new Error('not of the registry'), { resourceId: newId('instance') });
  for (let call = 0; call < 2; call++) await assert.rejects(agent.listInstances(cloudId), { code: 'HostUnavailable' });
  await assert.rejects(
    agent.applyInstance(desired),
    (error) => error instanceof VirgaError && error.code === 'HypervisorRefused',
  );
  assert.deepEqual(await agent.listInstances(cloudId), [], 'undone');
  assert.equal((await agent.applyInstance(desired)).state, 'running');
});

test('is as slow as it is told', async (t) => {
  const { stateFile, desired } = await preparedHost(t);
  const delays: number[] = [];
  const clock = {
    now: () => 0,
    delay: async (ms: number) => {
      delays.push(ms);
    },
  };
  const agent = open(t, { stateFile, clock, timings: { ...instantTimings, startMs: 7 } });
  agent.slowDown(10);
  await agent.applyInstance(desired);
  assert.deepEqual(delays, [70]);
});

test('thousands of hosts fit in a process, and none has a timer while nothing happens', async (t) => {
  const { files, desired } = await preparedHost(t);
  const timers = () => process.getActiveResourcesInfo().filter((resource) => resource === 'Timeout').length;
  const timersBefore = timers();
  const heapBefore = usedHeapBytes();
  const hosts = Array.from({ length: 2_000 }, (_, index) =>
    openSimulatedAgent({ name: `host-${index}`, timings: instantTimings }),
  );
  const stop = new AbortController();
  const watching = await Promise.all(
    hosts.map(async (host) => {
      await host.importImage(files.image);
      await host.applyNetwork(files.network);
      await host.applyInstance(desired);
      const events = host.watch(cloudId, stop.signal)[Symbol.asyncIterator]();
      assert.equal((await events.next()).value?.type, 'ready');
      return { end: events.next() };
    }),
  );
  const perHost = (usedHeapBytes() - heapBefore) / hosts.length;
  t.diagnostic(`${Math.round(perHost / 1024)} KiB a host`);
  assert.ok(perHost < 64 * 1024, `${perHost} bytes a host`);
  assert.equal(timers(), timersBefore);
  stop.abort();
  for (const { end } of watching) assert.equal((await end).done, true);
  await Promise.all(hosts.map((host) => host.close()));
});

const leases = async (agent: SimulatedAgent) => (await agent.listNetworks(cloudId))[0]?.leases ?? [];

const never = () => new Promise<never>(() => undefined);

/** Without what can go: how much of that is there depends on when it was last looked for. */
function usedHeapBytes(): number {
  setFlagsFromString('--expose-gc');
  runInNewContext('gc')();
  return process.memoryUsage().heapUsed;
}

function open(t: TestContext, options: Partial<SimulatedAgentOptions>): SimulatedAgent {
  const agent = openSimulatedAgent({ name: 'host', timings: instantTimings, ...options });
  t.after(() => agent.close());
  return agent;
}

type Files = { image: DesiredImage; network: DesiredNetwork };

/** A host on which an instance can be launched. */
async function preparedHost(t: TestContext): Promise<{ stateFile: string; desired: DesiredInstance; files: Files }> {
  const folder = await mkdtemp(join(tmpdir(), 'virga-host-'));
  t.after(() => rm(folder, { recursive: true }));
  const path = join(folder, 'image.raw');
  await writeFile(path, Buffer.alloc(4096, 1));
  const stateFile = join(folder, 'host.journal');
  const source = { kind: 'file' as const, path };
  const image: DesiredImage = { id: newId('image'), cloudId, generation: 1, source, format: 'raw' };
  const network: DesiredNetwork = {
    id: newId('network'),
    cloudId,
    uuid: '6f1de3ac-27be-4f0c-a1f9-3a8a1ce1f2b6',
    name: 'default',
    generation: 1,
    kind: 'nat',
    cidr: '10.77.0.0/24',
    gateway: '10.77.0.1',
    bridge: 'virbr7',
    leases: [],
  };
  const agent = openSimulatedAgent({ name: 'host', stateFile, timings: instantTimings });
  await agent.importImage(image);
  await agent.applyNetwork(network);
  await agent.close();
  const desired: DesiredInstance = {
    ...instanceDefaults,
    id: newId('instance'),
    cloudId,
    projectId: newId('project'),
    name: 'web',
    uuid: '0b2b4ad8-5b8c-4a53-8a0b-6bb0a8d5a4a1',
    domainName: 'web',
    generation: 1,
    vcpus: 1,
    maxVcpus: 1,
    memoryMib: 64,
    maxMemoryMib: 64,
    firmware: 'bios',
    rootDisk: { id: newId('volume'), imageId: image.id, sizeBytes: 4096 },
    nics: [{ id: newId('networkInterface'), networkId: network.id, mac: '52:54:00:00:00:0a', address: '10.77.0.10' }],
    seed: { hostName: 'web', publicKeys: [], userData: null },
    power: { state: 'running' },
    reboot: null,
  };
  return { stateFile, desired, files: { image, network } };
}
