// A real `virsh migrate` between two libvirtds, each a host of one cloud with an agent of its own, on storage that both see: the
// guest goes on, and the control plane follows. The second libvirtd is in namespaces within those of the run.
import assert from 'node:assert/strict';
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { chmodSync, cpSync, existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import type { HostAgent } from '@virga/contract/agent/agent';
import type { Client } from '@virga/contract/client';
import type { OperationId } from '@virga/contract/ids';
import { greeting, tinyGuestDisk } from '@virga/host-agent/contract-suite/tiny-guest';
import { openLibvirtAgent } from '@virga/host-agent/libvirt/libvirt-agent';
import { silentLog } from '@virga/testing/silent-log';
import { startTemporaryCloud, type TemporaryCloud } from '@virga/testing/temporary-cloud';
import { until } from '@virga/testing/until';

const run = promisify(execFile);
const patience = { timeoutMs: 90_000 };
const alphaSocket = process.env.VIRGA_TEST_LIBVIRT_SOCKET ?? '';
const capabilities = '/var/cache/libvirt/qemu/capabilities';

let folder: string;
let betaSocket: string;
let beta: ChildProcess;
let cloud: TemporaryCloud;
let agents: Record<string, HostAgent> = {};

before(async () => {
  folder = mkdtempSync(join(process.env.VIRGA_TEST_NAMESPACE ?? tmpdir(), 'two-hosts-'));
  chmodSync(folder, 0o711);
  betaSocket = join(folder, 'run/libvirt-sock');
  beta = startBeta();
  await until('the second libvirtd takes connections', async () => existsSync(betaSocket), patience);
  mkdirSync(join(folder, 'alpha/instances'), { recursive: true, mode: 0o711 });
  mkdirSync(join(folder, 'beta'), { mode: 0o711 });
  // QEMU's user makes the socket that the memory goes through.
  mkdirSync(join(folder, 'way'));
  chmodSync(join(folder, 'way'), 0o777);
  symlinkSync(join(folder, 'alpha/instances'), join(folder, 'beta/instances'));
  const open = (name: string, socketPath: string) =>
    openLibvirtAgent({ socketPath, storagePath: join(folder, name), acceleration: 'tcg', log: silentLog });
  agents = { alpha: await open('alpha', alphaSocket), beta: await open('beta', betaSocket) };
  const hosts = Object.entries(agents).map(([name, agent]) => ({ name, driver: 'libvirt' as const, agent }));
  cloud = await startTemporaryCloud({ hosts });
});

after(async () => {
  await cloud?.close();
  for (const agent of Object.values(agents)) await agent.close();
  beta?.kill('SIGTERM');
  await until('the second host is gone', async () => (beta.exitCode ?? beta.signalCode) !== null, patience);
  rmSync(folder, { recursive: true });
});

/** A host of its own name and identity, so that libvirt takes it for another machine. */
function startBeta(): ChildProcess {
  const home = join(folder, 'host');
  mkdirSync(join(folder, 'run'));
  if (existsSync(capabilities)) {
    cpSync(capabilities, join(home, capabilities), { recursive: true });
  }
  writeFileSync(
    join(folder, 'start'),
    `set -e
    hostname beta
    echo 127.0.1.1 beta >>/etc/hosts
    mkdir -p /run/libvirt
    mount --bind ${folder}/run /run/libvirt
    echo 'host_uuid = "4d6f7279-0000-4000-8000-000000000002"' >>/etc/libvirt/libvirtd.conf
    virtlogd --daemon
    exec libvirtd 2>${folder}/libvirtd.log`,
  );
  const namespace = join(import.meta.dirname, '../../../../script/namespace');
  return spawn(namespace, [folder, 'bash', join(folder, 'start')], { stdio: 'ignore' });
}

async function succeeded(client: Client, id: OperationId): Promise<void> {
  const ended = async () => {
    const { state, error } = await client.getOperation({ params: { id }, query: { waitSeconds: 5 } });
    assert.notEqual(state, 'failed', `${error?.detail} ${error?.action}`);
    return state === 'succeeded';
  };
  await until(`operation ${id} has ended`, ended, patience);
}

const uri = (socket: string) => `qemu+unix:///system?socket=${socket}`;

test('a guest that virsh migrates goes on, and its instance is of the other host, with its CPU and its lease', async () => {
  const { client } = cloud;
  const path = join(folder, 'guest.raw');
  writeFileSync(path, tinyGuestDisk({ answersAcpi: true }));
  const body = { name: 'own', vcpus: 1, memoryMib: 64, diskGib: 1, cpuPolicy: 'dedicated' } as const;
  await client.createInstanceType({ body });
  const image = await client.registerImage({ body: { name: 'guest', path, format: 'raw' } });
  await succeeded(client, image.operationId);
  const network = await client.createNetwork({ body: { name: 'default', cidr: '10.79.7.0/24' } });
  await succeeded(client, network.operationId);
  const launched = await client.launchInstance({ body: { name: 'web', image: 'guest', type: 'own' } });
  await succeeded(client, launched.operationId);
  const params = { id: launched.instance.id };
  const instance = await client.getInstance({ params });
  const sockets = { alpha: alphaSocket, beta: betaSocket } as Record<string, string>;
  const from = instance.hostName;
  const to = from === 'alpha' ? 'beta' : 'alpha';

  await run('virsh', [
    ...['-c', uri(sockets[from]!), 'migrate', '--live', '--persistent', '--undefinesource', '--unsafe'],
    ...[instance.domainName, uri(sockets[to]!), '--migrateuri', `unix://${folder}/way/socket`],
  ]);

  await until('it is of the other host', async () => (await client.getInstance({ params })).hostName === to, patience);
  const moved = await client.getInstance({ params });
  assert.equal(moved.state, 'running');
  const seen = async () => (await agents[to]!.listInstances(cloud.controlPlane.cloudId))[0];
  await until('the host has been told', async () => (await seen())?.generation === moved.generation, patience);
  const { items } = await client.listEvents({ query: { resourceId: params.id } });
  const types = items.map(({ type }) => type);
  assert.equal(types.filter((type) => type === 'instance.moved-outside').length, 1);
  assert.ok(!types.includes('instance.repaired'), types.join());
  const [nic] = moved.networkInterfaces;
  const leasesOn = async (host: string) =>
    (await agents[host]!.listNetworks(cloud.controlPlane.cloudId)).flatMap(({ leases }) =>
      leases.map(({ mac }) => mac),
    );
  await until('its lease is there', async () => (await leasesOn(to)).includes(nic!.mac), patience);
  // Sooner than by the look of once a minute.
  await until('its old lease is gone', async () => (await leasesOn(from)).length === 0, { timeoutMs: 40_000 });
  const pinned = await run('virsh', ['-c', uri(sockets[to]!), 'vcpupin', instance.domainName, '0']);
  assert.match(pinned.stdout, /^ 0 +\d+$/m, 'it has one CPU for itself');
  const log = await agents[to]!.consoleLog(params.id, 10_000);
  assert.equal(log.bytes.toString().split(greeting).length - 1, 1, 'it was started once');
});
