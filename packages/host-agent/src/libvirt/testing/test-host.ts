// A libvirt agent for one test file: a cloud id, a storage folder and a network range that nobody else uses, and the
// removal of all of it. Needs the libvirtd of the test run.
import { randomBytes, randomUUID } from 'node:crypto';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { HostAgent } from '@virga/contract/agent/agent';
import { type DesiredInstance, type DesiredNetwork, instanceDefaults } from '@virga/contract/agent/desired';
import { type ImageId, newId } from '@virga/contract/ids';
import { type Connection, connect } from '@virga/libvirt/connection/connect';
import pino from 'pino';
import { type LibvirtAgentOptions, openLibvirtAgent } from '../libvirt-agent.ts';

const socketPath = process.env.VIRGA_TEST_LIBVIRT_SOCKET ?? '/run/libvirt/libvirt-sock';
const appliance = process.env.VIRGA_TEST_APPLIANCE;
export const gibibyte = 1024 ** 3;

export type TestHost = {
  agent: HostAgent;
  cloudId: string;
  storagePath: string;
  /** A way to libvirt past the agent, as somebody with virsh has. */
  outside: Connection;
  /** The same host, seen by an agent of its own. */
  openAgent(options?: Partial<LibvirtAgentOptions>): Promise<HostAgent>;
  network(changes?: Partial<DesiredNetwork>): DesiredNetwork;
  instance(network: DesiredNetwork, imageId: ImageId, changes?: Partial<DesiredInstance>): DesiredInstance;
  close(): Promise<void>;
};

/** A MAC address of QEMU's range. */
export const randomMac = (): string => `52:54:00${randomBytes(3).toString('hex').replace(/../g, ':$&')}`;

/** @param octet a number from 1 to 254 that no other test file uses: its network is 10.77.OCTET.0/24 */
export async function openTestHost(octet: number, options: Partial<LibvirtAgentOptions> = {}): Promise<TestHost> {
  const storagePath = await mkdtemp(join(tmpdir(), 'virga-agent-test.'));
  await chmod(storagePath, 0o711);
  const cloudId = randomUUID();
  const openAgent = (more: Partial<LibvirtAgentOptions> = {}) =>
    openLibvirtAgent({
      socketPath,
      storagePath,
      acceleration: 'tcg',
      log: pino({ level: 'silent' }),
      appliance: appliance ? { file: appliance } : undefined,
      ...options,
      ...more,
    });
  const agents = [await openAgent()];
  const outside = await connect({ transport: { kind: 'unix', path: socketPath } });
  return {
    agent: agents[0]!,
    cloudId,
    storagePath,
    outside,
    openAgent: async (more) => {
      const agent = await openAgent(more);
      agents.push(agent);
      return agent;
    },
    network: (changes) => {
      const name = `vt${randomBytes(5).toString('hex')}`;
      return {
        id: newId('network'),
        cloudId,
        uuid: randomUUID(),
        name,
        generation: 1,
        kind: 'nat',
        cidr: `10.77.${octet}.0/24`,
        gateway: `10.77.${octet}.1`,
        bridge: name,
        leases: [],
        ...changes,
      };
    },
    instance: (network, imageId, changes) => ({
      ...instanceDefaults,
      id: newId('instance'),
      cloudId,
      projectId: newId('project'),
      name: 'web',
      uuid: randomUUID(),
      domainName: `vt${randomBytes(5).toString('hex')}`,
      generation: 1,
      vcpus: 1,
      maxVcpus: changes?.vcpus ?? 1,
      memoryMib: 64,
      maxMemoryMib: changes?.memoryMib ?? 64,
      firmware: 'bios',
      rootDisk: { id: newId('volume'), imageId, sizeBytes: gibibyte },
      nics: [{ id: newId('networkInterface'), networkId: network.id, mac: randomMac(), address: `10.77.${octet}.10` }],
      seed: { hostName: 'web', publicKeys: [], userData: null },
      power: { state: 'running' },
      reboot: null,
      ...changes,
    }),
    close: async () => {
      // The other one is lost when a test ends libvirtd.
      const fresh = await connect({ transport: { kind: 'unix', path: socketPath } });
      for (const { id } of await agents[0]!.listInstances(cloudId)) await removeInstance(fresh, id);
      for (const ref of await fresh.networks.list()) {
        if (!(await fresh.networks.xml(ref).catch(gone)).includes(cloudId)) continue;
        await fresh.networks.destroy(ref).catch(() => undefined);
        await fresh.networks.undefine(ref).catch(() => undefined);
      }
      await Promise.all(agents.map((agent) => agent.close()));
      await Promise.all([outside.close(), fresh.close()]);
      await rm(storagePath, { recursive: true });
    },
  };
}

/** Another test, beside this one, may end what it has on the same libvirtd at any time. */
const gone = (): string => '';

async function removeInstance({ domains }: Connection, id: string): Promise<void> {
  for (const ref of await domains.list()) {
    if (!(await domains.xml(ref).catch(gone)).includes(id)) continue;
    await domains.destroy(ref).catch(() => undefined);
    await domains.undefine(ref, { managedSave: true, nvram: true, snapshotsMetadata: true }).catch(() => undefined);
  }
}
