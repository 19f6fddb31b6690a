// One host, one network and two images for all tests of the suite, and what they have in common: fresh instances that are
// removed after the test, hooks at steps, events, waiting.
import { randomUUID } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import type { HostAgent } from '@virga/contract/agent/agent';
import {
  type DesiredFileImage,
  type DesiredImage,
  type DesiredInstance,
  type DesiredNetwork,
  instanceDefaults,
} from '@virga/contract/agent/desired';
import type { AgentEvent, ObservedInstance, ObservedNetwork } from '@virga/contract/agent/observed';
import { newId } from '@virga/contract/ids';
import type { StepHook } from '../step-hook.ts';
import { eventually } from './eventually.ts';
import type { Harness, OpenHarness, Target } from './harness.ts';
import { tinyGuestDisk, tinyGuestDiskBytes } from './tiny-guest.ts';

const firstAddress = 10;

export type Events = {
  seen: AgentEvent[];
  /** The next matching event, from `from` on. */
  next(what: string, matches: (event: AgentEvent) => boolean, from?: number): Promise<AgentEvent>;
};

export class ContractWorld {
  readonly cloudId = randomUUID();
  readonly folder: string;
  readonly network: DesiredNetwork;
  readonly politeImage: DesiredFileImage;
  readonly stubbornImage: DesiredFileImage;
  /** Deleted once no instance can have them any more. */
  readonly discs: DesiredImage[] = [];
  private readonly hooks: Map<string, StepHook>;
  private readonly opened: Harness;
  private addresses = firstAddress;

  static async open(open: OpenHarness): Promise<ContractWorld> {
    const folder = await mkdtemp(join(tmpdir(), 'virga-contract-'));
    const hooks = new Map<string, StepHook>();
    const harness = await open((step, resourceId) => hooks.get(resourceId)?.(step, resourceId));
    const world = new ContractWorld(folder, hooks, harness);
    for (const image of [world.politeImage, world.stubbornImage]) {
      await writeFile(image.source.path, tinyGuestDisk({ answersAcpi: image === world.politeImage }), { mode: 0o644 });
      await harness.agent.importImage(image);
    }
    await harness.agent.applyNetwork(world.network);
    return world;
  }

  private constructor(folder: string, hooks: Map<string, StepHook>, harness: Harness) {
    this.folder = folder;
    this.hooks = hooks;
    this.opened = harness;
    this.network = {
      ...harness.network,
      id: newId('network'),
      cloudId: this.cloudId,
      uuid: randomUUID(),
      generation: 1,
      kind: 'nat',
      leases: [],
    };
    this.politeImage = this.image('polite.raw');
    this.stubbornImage = this.image('stubborn.raw');
  }

  get agent(): HostAgent {
    return this.opened.agent;
  }

  get harness(): Harness {
    return this.opened;
  }

  async close(): Promise<void> {
    await this.agent.deleteNetwork(this.network);
    for (const disc of this.discs) await this.agent.deleteImage(disc);
    await this.agent.deleteImage(this.politeImage);
    await this.agent.deleteImage(this.stubbornImage);
    await this.harness.close();
    await rm(this.folder, { recursive: true });
  }

  /** An image file of the world's folder, as it would be imported. */
  image(fileName: string, format: DesiredImage['format'] = 'raw'): DesiredFileImage {
    const source = { kind: 'file' as const, path: join(this.folder, fileName) };
    return { id: newId('image'), cloudId: this.cloudId, generation: 1, source, format };
  }

  /** An instance that is to run, of which nothing exists yet. It is gone after the test. */
  instance(t: TestContext, changes: Partial<DesiredInstance> = {}): DesiredInstance {
    const id = changes.id ?? newId('instance');
    const number = this.addresses++;
    const address = this.network.cidr.replace(/\.0\/24$/, `.${number}`);
    const mac = `52:54:00:${id.slice(2, 4)}:${id.slice(4, 6)}:${number.toString(16).padStart(2, '0')}`;
    const { vcpus = 1, memoryMib = 64 } = changes;
    const desired: DesiredInstance = {
      ...instanceDefaults,
      id,
      cloudId: this.cloudId,
      projectId: newId('project'),
      name: `guest-${number}`,
      uuid: randomUUID(),
      domainName: `contract-${id}`,
      generation: 1,
      vcpus,
      maxVcpus: vcpus,
      memoryMib,
      maxMemoryMib: memoryMib,
      firmware: 'bios',
      rootDisk: { id: newId('volume'), imageId: this.politeImage.id, sizeBytes: tinyGuestDiskBytes },
      nics: [{ id: newId('networkInterface'), networkId: this.network.id, mac, address }],
      seed: { hostName: `guest-${number}`, publicKeys: [], userData: null },
      power: { state: 'running' },
      reboot: null,
      ...changes,
    };
    t.after(async () => {
      this.hooks.delete(id);
      await this.agent.deleteInstance(desired);
    });
    return desired;
  }

  /** One whose guest ignores the power button. */
  stubbornInstance(t: TestContext): DesiredInstance {
    const desired = this.instance(t);
    this.harness.makeStubborn?.(desired);
    return { ...desired, rootDisk: { ...desired.rootDisk, imageId: this.stubbornImage.id } };
  }

  /** An instance whose guest has booted. */
  async launched(t: TestContext, desired = this.instance(t)): Promise<DesiredInstance> {
    await this.agent.applyInstance(desired);
    await this.booted(desired, 1);
    return desired;
  }

  /** Runs at each step of the work on that instance, network or image. */
  onStep(resourceId: string, hook: StepHook): void {
    this.hooks.set(resourceId, hook);
  }

  async observed({ id }: Pick<Target, 'id'>, agent = this.agent): Promise<ObservedInstance | undefined> {
    const found = (await agent.listInstances(this.cloudId)).filter((instance) => instance.id === id);
    if (found.length > 1) throw new Error(`${id} is listed ${found.length} times`);
    return found[0];
  }

  async observedNetwork(id = this.network.id): Promise<ObservedNetwork | undefined> {
    return (await this.agent.listNetworks(this.cloudId)).find((network) => network.id === id);
  }

  /** The address that the network leases to an instance. */
  async leasedAddress({ nics }: DesiredInstance): Promise<string | undefined> {
    const leases = (await this.observedNetwork())?.leases ?? [];
    return leases.find(({ mac }) => mac === nics[0]?.mac)?.address;
  }

  async bootCount({ id }: Pick<Target, 'id'>): Promise<number> {
    const { bytes } = await this.agent.consoleLog(id, 64 * 1024);
    return bytes.toString('latin1').split(this.harness.bootMark).length - 1;
  }

  /** Waits until the guest has booted that often, and checks that it was not more often. */
  async booted(target: Pick<Target, 'id'>, times: number): Promise<void> {
    const count = await eventually(`${target.id} boots for the ${times}. time`, async () => {
      const boots = await this.bootCount(target);
      return boots >= times ? boots : undefined;
    });
    if (count !== times) throw new Error(`${target.id} has booted ${count} times instead of ${times}`);
  }

  /** Applies again and again, as a reconciler does, until the answer is in that state. */
  async converge(
    desired: DesiredInstance,
    state: ObservedInstance['state'],
    agent = this.agent,
  ): Promise<ObservedInstance> {
    return eventually(`${desired.id} is ${state}`, async () => {
      const observed = await agent.applyInstance(desired);
      return observed.state === state ? observed : undefined;
    });
  }

  /** Watches the host until the test ends. Answers once the first event is there. */
  async watch(t: TestContext): Promise<Events> {
    const stop = new AbortController();
    const seen: AgentEvent[] = [];
    const reading = (async () => {
      for await (const event of this.agent.watch(this.cloudId, stop.signal)) seen.push(event);
    })();
    t.after(async () => {
      stop.abort();
      await reading;
    });
    const next: Events['next'] = async (what, matches, from = 0) => {
      try {
        return await eventually(what, () => seen.slice(from).find(matches));
      } catch (error) {
        throw new Error(`${what} was not among what was told: ${JSON.stringify(seen.slice(from))}`, { cause: error });
      }
    };
    await next('the first event', () => true);
    return { seen, next };
  }
}

/** Stops by ACPI, with that much time for the guest. */
export const stopped = (desired: DesiredInstance, graceMs = 60_000): DesiredInstance => ({
  ...desired,
  generation: desired.generation + 1,
  power: { state: 'stopped', forceAt: new Date(Date.now() + graceMs).toISOString() },
});

export const isInstance =
  (id: Target['id'], expected: Partial<ObservedInstance>) =>
  (event: AgentEvent): boolean =>
    event.type === 'instance' &&
    event.instance.id === id &&
    Object.entries(expected).every(([key, value]) => event.instance[key as keyof ObservedInstance] === value);
