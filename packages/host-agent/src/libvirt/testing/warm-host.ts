// Real guests of the starter image that begin as copies, for the tests of them: a host, a network, a template, a key to log in
// with, and what a test asks a guest. Owns all of it, and removes it.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { randomBytes, randomUUID } from 'node:crypto';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { DesiredInstance, DesiredNetwork } from '@virga/contract/agent/desired';
import type { DesiredTemplate } from '@virga/contract/agent/warm';
import { newId } from '@virga/contract/ids';
import { eventually } from '../../contract-suite/eventually.ts';
import { gibibyte, openTestHost, type TestHost } from './test-host.ts';

const run = promisify(execFile);
const memoryMib = 256;
const firstOctet = 20;

export class WarmHost {
  readonly host: TestHost;
  readonly template: DesiredTemplate;
  /** Step at which calls fail, and with what. */
  failing: { step: string; error: Error } | undefined;
  /** What is done before a step, once. */
  atStep: { step: string; work: () => Promise<void> } | undefined;
  readonly #network: DesiredNetwork;
  readonly #folder: string;
  readonly #publicKey: string;
  #octet = firstOctet;

  private constructor(host: TestHost, template: DesiredTemplate, network: DesiredNetwork, folder: string, key: string) {
    this.host = host;
    this.template = template;
    this.#network = network;
    this.#folder = folder;
    this.#publicKey = key;
  }

  /** @param octet as of openTestHost */
  static async open(octet: number): Promise<WarmHost> {
    let opened: WarmHost | undefined;
    const hook = async (step: string) => {
      if (opened?.failing?.step === step) throw opened.failing.error;
      if (opened?.atStep?.step !== step) return;
      const { work } = opened.atStep;
      opened.atStep = undefined;
      await work();
    };
    const path = process.env.VIRGA_TEST_STARTER_IMAGE;
    assert.ok(path, 'script/test names the starter image');
    const host = await openTestHost(octet, { hook });
    const folder = await mkdtemp(join(tmpdir(), 'virga-warm-test.'));
    await run('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', join(folder, 'key')]);
    const key = (await readFile(join(folder, 'key.pub'), 'utf8')).trim();
    const { agent, cloudId } = host;
    const imageId = newId('image');
    await agent.importImage({ id: imageId, cloudId, generation: 1, source: { kind: 'file', path }, format: 'qcow2' });
    const network = host.network();
    await agent.applyNetwork(network);
    const domainName = `vt${randomBytes(5).toString('hex')}`;
    const sizes = { vcpus: 1, memoryMib, diskBytes: gibibyte };
    const template = { id: newId('template'), cloudId, uuid: randomUUID(), domainName, imageId, ...sizes };
    opened = new WarmHost(host, template, network, folder, key);
    return opened;
  }

  async close(): Promise<void> {
    await this.host.close();
    await rm(this.#folder, { recursive: true });
  }

  /** An instance that may begin as a copy. */
  instance(name: string): DesiredInstance {
    const desired = this.host.instance(this.#network, this.template.imageId);
    const [nic] = desired.nics;
    assert.ok(nic);
    return {
      ...desired,
      name,
      memoryMib,
      maxMemoryMib: memoryMib,
      nics: [{ ...nic, address: nic.address.replace(/\d+$/, String(this.#octet++)) }],
      seed: { hostName: name, publicKeys: [this.#publicKey], userData: null },
      warm: { templateId: this.template.id },
    };
  }

  shellOf({ id, cloudId, uuid, domainName }: DesiredInstance) {
    return { id, cloudId, uuid, domainName, templateId: this.template.id };
  }

  async secondsToSsh(desired: DesiredInstance): Promise<number> {
    const startedMs = performance.now();
    const applied = this.host.agent.applyInstance(desired);
    await Promise.all([applied, greeting(desired)]);
    assert.equal((await applied).state, 'running');
    return (performance.now() - startedMs) / 1000;
  }

  async ssh(desired: DesiredInstance, command: string): Promise<string> {
    const settings = ['StrictHostKeyChecking=no', 'UserKnownHostsFile=/dev/null', 'BatchMode=yes', 'LogLevel=ERROR'];
    const options = settings.flatMap((setting) => ['-o', setting]);
    const target = ['-F', '/dev/null', '-i', join(this.#folder, 'key'), `root@${addressOf(desired)}`, command];
    return (await run('ssh', [...options, ...target], { timeout: 60_000 })).stdout.trim();
  }

  /** What two machines must never have in common, and their names. */
  async identityOf(desired: DesiredInstance) {
    const random = 'head -c 16 /dev/urandom | hexdump -v -e \'1/1 "%02x"\'';
    const command = `hostname; cat /etc/machine-id; ${random}; echo; cat /proc/sys/kernel/random/uuid /sys/class/net/eth0/address`;
    const [hostName, machineId, drawn, uuid, mac] = (await this.ssh(desired, command)).split('\n');
    return { hostKey: await hostKeyOf(desired), hostName, machineId, drawn, uuid, mac };
  }
}

const addressOf = ({ nics }: DesiredInstance): string => nics[0]?.address ?? '';

export async function hostKeyOf(desired: DesiredInstance): Promise<string | undefined> {
  const { stdout } = await run('ssh-keyscan', ['-T', '60', '-t', 'ed25519', addressOf(desired)]);
  return stdout.trim().split(' ')[2];
}

/** Waits until the SSH server of the instance greets. */
export async function greeting(desired: DesiredInstance): Promise<void> {
  const greets = () =>
    new Promise<boolean>((resolve) => {
      const socket = connect({ host: addressOf(desired), port: 22, timeout: 300 });
      const end = (isThere: boolean) => {
        socket.destroy();
        resolve(isThere);
      };
      socket.once('data', (bytes) => end(bytes.toString().startsWith('SSH-')));
      socket.once('error', () => end(false)).once('timeout', () => end(false));
    });
  await eventually('the SSH server greets', async () => (await greets()) || undefined, 120_000);
}
