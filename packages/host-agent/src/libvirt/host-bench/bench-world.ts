// What one comparison may make and change on its host: guests, disks, a network, settings. All of it is taken away when the
// world ends, newest first; what a killed run leaves, `reap.ts` finds by the same folder and names.
import { randomUUID } from 'node:crypto';
import { chmod, mkdir, rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { WantedSetting } from '@virga/contract/agent/host-changes';
import { runCommand } from '../../run-command.ts';
import type { AgentContext } from '../agent-context.ts';
import { hostChoices } from '../host/host-choices.ts';
import { element, textElement } from '../xml.ts';
import { BenchGuest } from './bench-guest.ts';
import type { BenchHolder } from './bench-holder.ts';
import { benchFolder, benchOwner, benchPrefix } from './bench-names.ts';
import { benchGuestXml, type GuestSpec } from './bench-xml.ts';

const mebibyte = 1024 ** 2;

export class BenchWorld {
  readonly context: AgentContext;
  readonly acceleration: 'kvm' | 'tcg';
  /** Of each measurement. */
  readonly seconds: number;
  readonly signal: AbortSignal;
  /** Of this comparison; its files are in it. */
  readonly folder: string;
  private readonly image: string;
  private readonly guests = new Set<BenchGuest>();
  private network: string | undefined;
  private number = 0;

  private constructor(
    context: AgentContext,
    { image, seconds, signal, acceleration }: WorldOptions & Pick<BenchWorld, 'acceleration'>,
  ) {
    this.context = context;
    this.image = image;
    this.seconds = seconds;
    this.signal = signal;
    this.acceleration = acceleration;
    this.folder = benchFolder(context.storage);
  }

  static async open(context: AgentContext, options: WorldOptions): Promise<BenchWorld> {
    const { mode } = await context.accelerator.acceleration();
    const world = new BenchWorld(context, { ...options, acceleration: mode });
    // From here on there is something to be reaped.
    await mkdir(world.folder, { recursive: true, mode: 0o711 });
    await chmod(world.folder, 0o711);
    await options.holder.hold(world.folder);
    return world;
  }

  /** Settings of the host, all that this comparison wants at this moment. */
  async set(wanted: readonly WantedSetting[]): Promise<void> {
    await this.context.changes.apply(benchOwner, wanted);
  }

  /** A file of a disk, in full: its blocks are there, so that no measurement is of finding them. */
  async disk(name: string, format: 'qcow2' | 'raw', sizeMib: number): Promise<string> {
    const path = join(this.folder, name);
    await runCommand('qemu-img', ['create', '-q', '-f', format, '-o', 'preallocation=falloc', path, `${sizeMib}M`], {
      signal: this.signal,
      package: 'qemu-utils',
    });
    return path;
  }

  /** Starts a guest, without waiting for it. */
  async start(spec: GuestSpec): Promise<BenchGuest> {
    await this.context.hook('bench', 'start');
    const number = ++this.number;
    const name = `${benchPrefix(this.context.storage)}${number}`;
    const files = this.filesOf(name);
    await runCommand('qemu-img', ['create', '-q', '-f', 'qcow2', '-F', 'qcow2', '-b', this.image, files.rootDisk], {
      signal: this.signal,
      package: 'qemu-utils',
    });
    // A seed without anything on it: the guest looks for one.
    await writeFile(files.seed, '');
    await truncate(files.seed, mebibyte);
    const network = spec.cards === undefined ? null : await this.ensureNetwork();
    const host = await hostChoices(this.context);
    const xml = benchGuestXml(spec, { name, number, uuid: randomUUID(), files, image: this.image, network, host });
    const ref = await this.context.hypervisor.act(`start ${name}`, ({ domains }) => domains.createXml(xml));
    const guest = new BenchGuest(this.context, ref, this.signal);
    this.guests.add(guest);
    return guest;
  }

  /** A guest that has booted. */
  async boot(spec: GuestSpec): Promise<BenchGuest> {
    const guest = await this.start(spec);
    await this.context.hook('bench', 'boot');
    await guest.booted();
    return guest;
  }

  async end(guest: BenchGuest): Promise<void> {
    await guest.end();
    this.guests.delete(guest);
    const { rootDisk, seed, consoleLog } = this.filesOf(guest.name);
    for (const file of [rootDisk, seed, consoleLog]) await rm(file, { force: true });
  }

  private filesOf(name: string) {
    const at = (what: string) => join(this.folder, `${name}.${what}`);
    return { rootDisk: at('qcow2'), seed: at('seed'), consoleLog: at('log'), nvram: at('nvram') };
  }

  /** One that leads nowhere but from guest to guest: the host has no address on it. */
  private async ensureNetwork(): Promise<string> {
    if (this.network !== undefined) return this.network;
    const name = `${benchPrefix(this.context.storage)}net`;
    const bridge = `vb${name.replace(/^virga-bench-|-net$/g, '')}`;
    const xml = element(
      'network',
      {},
      textElement('name', name),
      element('bridge', { name: bridge, stp: 'off', delay: 0 }),
    );
    await this.context.hypervisor.act(`make ${name}`, ({ networks }) => networks.createXml(xml));
    this.network = name;
    return name;
  }
}

type WorldOptions = { image: string; seconds: number; signal: AbortSignal; holder: BenchHolder };
