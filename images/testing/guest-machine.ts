// A machine for the tests of images: QEMU without libvirt, with a network of its own that only loopback reaches. Owns its
// process, overlay, seed and sockets, all in one folder that the test removes; never writes to the image.
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { access, copyFile, mkdir, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { JsonLines } from './json-lines.ts';

const run = promisify(execFile);

export type Seed = { 'meta-data': string; 'user-data': string; 'network-config'?: string };
export type SeedFormat = 'iso9660' | 'vfat';

export type MachineOptions = {
  /** Made by the caller, who removes it: disk, seed and sockets of this machine. */
  folder: string;
  image: string;
  firmware?: 'bios' | 'uefi';
  memoryMib?: number;
  diskMib?: number;
  sshKeyFile: string;
};

const mac = '52:54:00:12:34:56';
const ovmf = '/usr/share/OVMF';

/**
 * The network-config that Virga writes, for the one card of the machine. The address is quoted: one of decimal digits
 * alone is a number to base 60 in YAML 1.1, which cloud-init reads.
 */
export const networkConfig = `version: 2
ethernets:
  eth0:
    match:
      macaddress: '${mac}'
    set-name: eth0
    dhcp4: true
`;

/** Makes a disk with the label cidata; an earlier one is written over. */
export async function writeSeed(folder: string, seed: Seed, format: SeedFormat = 'iso9660'): Promise<void> {
  const content = join(folder, 'seed');
  const file = seedFile(folder);
  await mkdir(content, { recursive: true });
  const names = Object.keys(seed);
  await Promise.all(Object.entries(seed).map(([name, text]) => writeFile(join(content, name), text)));
  if (format === 'iso9660') {
    await run('genisoimage', ['-quiet', '-volid', 'cidata', '-joliet', '-rock', '-output', file, content]);
    return;
  }
  await writeFile(file, Buffer.alloc(2 * 1024 * 1024));
  await run('mkfs.vfat', ['-n', 'CIDATA', file]);
  await run('mcopy', ['-i', file, ...names.map((name) => join(content, name)), '::']);
}

export class GuestMachine {
  readonly #options: MachineOptions;
  readonly #process: ChildProcess;
  readonly #exited: Promise<unknown>;
  readonly #startedMs = performance.now();
  #console = '';

  private constructor(options: MachineOptions, process: ChildProcess) {
    this.#options = options;
    this.#process = process;
    this.#exited = once(process, 'exit');
    for (const stream of [process.stdout, process.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => {
        this.#console += text;
      });
    }
  }

  /** Starts a machine on its own disk, which is made at the first start, and on the seed in its folder, if there is one. */
  static async start(options: MachineOptions): Promise<GuestMachine> {
    const { folder, image, firmware = 'bios', memoryMib = 256, diskMib = 1024 } = options;
    const disk = join(folder, 'disk.qcow2');
    const overlay = ['create', '-q', '-f', 'qcow2', '-b', image, '-F', 'qcow2', disk, `${diskMib}M`];
    if (!(await exists(disk))) await run('qemu-img', overlay);
    const args = [
      ...['-machine', 'q35', '-accel', 'tcg', '-cpu', 'max', '-m', `${memoryMib}`],
      ...['-nodefaults', '-display', 'none', '-vga', 'std', '-serial', 'stdio'],
      ...['-drive', `if=none,id=root,file=${disk},cache=unsafe`],
      ...['-device', 'virtio-blk-pci,drive=root,bootindex=1'],
      ...((await exists(seedFile(folder))) ? seedArguments(folder) : []),
      ...['-netdev', 'user,id=net,hostfwd=tcp:127.0.0.1:0-:22', '-device', `virtio-net-pci,netdev=net,mac=${mac}`],
      ...['-device', 'pcie-root-port,id=spare,chassis=1'],
      ...['-device', 'virtio-rng-pci', '-device', 'virtio-serial-pci'],
      ...['-chardev', `socket,id=agent,path=${join(folder, 'agent')},server=on,wait=off`],
      ...['-device', 'virtserialport,chardev=agent,name=org.qemu.guest_agent.0'],
      ...['-qmp', `unix:${join(folder, 'monitor')},server=on,wait=off`],
      ...(firmware === 'uefi' ? await uefiArguments(folder) : []),
    ];
    const child = spawn('qemu-system-x86_64', args, { stdio: ['ignore', 'pipe', 'pipe'] });
    await once(child, 'spawn');
    return new GuestMachine(options, child);
  }

  get console(): string {
    return this.#console;
  }

  /**
   * Waits until the console shows a text.
   * @returns seconds since the machine was started
   * @throws the machine ended or the time is over; the message has the end of the console
   */
  async waitForConsole(pattern: RegExp, timeoutMs: number): Promise<number> {
    const deadline = AbortSignal.timeout(timeoutMs);
    const ended = this.#exited.then(() => 'the machine ended');
    while (!pattern.test(this.#console)) {
      const output = this.#process.stdout;
      const more = output ? once(output, 'data', { signal: deadline }).then(() => '') : ended;
      const failure = await Promise.race([more.catch(() => `nothing in ${timeoutMs} ms`), ended]);
      if (failure && !pattern.test(this.#console)) {
        throw new Error(`${failure}, waiting for ${pattern}; the console ends with:\n${this.#console.slice(-3000)}`);
      }
    }
    return (performance.now() - this.#startedMs) / 1000;
  }

  /** Runs a command in the guest. @throws it failed, with what it wrote */
  async ssh(command: string, user = 'root'): Promise<string> {
    const forwards = await this.#monitor('human-monitor-command', { 'command-line': 'info usernet' });
    const port = /HOST_FORWARD\]\s+\d+\s+127\.0\.0\.1\s+(\d+)/.exec(String(forwards))?.[1];
    const settings = ['StrictHostKeyChecking=no', 'UserKnownHostsFile=/dev/null', 'BatchMode=yes', 'ConnectTimeout=60'];
    const options = [...settings, 'LogLevel=ERROR'].flatMap((setting) => ['-o', setting]);
    const target = ['-F', '/dev/null', '-i', this.#options.sshKeyFile, '-p', port ?? '', `${user}@127.0.0.1`];
    const { stdout } = await run('ssh', [...options, ...target, command], { timeout: 120_000 });
    return stdout.trim();
  }

  /** One command to the guest agent, after a sync that drops what an earlier client left. */
  async agent(command: string, args: Record<string, unknown> = {}): Promise<unknown> {
    const lines = await JsonLines.open(connect(join(this.#options.folder, 'agent')));
    try {
      const id = 7;
      lines.write({ execute: 'guest-sync', arguments: { id } });
      await lines.find((answer) => answer.return === id);
      lines.write({ execute: command, arguments: args });
      return resultOf(await lines.find((answer) => 'return' in answer || 'error' in answer));
    } finally {
      lines.close();
    }
  }

  /** Runs a program in the guest by its agent. @returns what it wrote to standard output */
  async agentRun(path: string, ...arg: string[]): Promise<string> {
    const { pid } = (await this.agent('guest-exec', { path, arg, 'capture-output': true })) as { pid: number };
    for (;;) {
      const status = (await this.agent('guest-exec-status', { pid })) as { exited: boolean; 'out-data'?: string };
      if (status.exited) return Buffer.from(status['out-data'] ?? '', 'base64').toString();
    }
  }

  /** One command to the guest agent that it does not answer when all goes well. */
  async agentSend(command: string): Promise<void> {
    const lines = await JsonLines.open(connect(join(this.#options.folder, 'agent')));
    lines.write({ execute: command });
    lines.close();
  }

  /** Plugs in another network card, which has a network of its own. */
  async plugInCard(network: string): Promise<void> {
    await this.#monitor('netdev_add', { type: 'user', id: 'second', net: network });
    await this.#monitor('device_add', { driver: 'virtio-net-pci', id: 'second', netdev: 'second', bus: 'spare' });
  }

  /** Presses the power button and waits for the machine to end. @returns seconds that took */
  pressPowerButton(timeoutMs: number): Promise<number> {
    return this.turnedOff(timeoutMs, () => this.#monitor('system_powerdown'));
  }

  /** Does something that ends the machine, and waits for that. @returns seconds that took */
  async turnedOff(timeoutMs: number, act: () => Promise<unknown>): Promise<number> {
    const startedMs = performance.now();
    await act();
    const timeout = AbortSignal.timeout(timeoutMs);
    const late = once(timeout, 'abort').then(() => {
      throw new Error(`still on after ${timeoutMs} ms; the console ends with:\n${this.#console.slice(-3000)}`);
    });
    await Promise.race([this.#exited, late]);
    return (performance.now() - startedMs) / 1000;
  }

  /** Ends the machine without asking it. */
  async kill(): Promise<void> {
    this.#process.kill('SIGKILL');
    await this.#exited;
  }

  async #monitor(command: string, args: Record<string, unknown> = {}): Promise<unknown> {
    const lines = await JsonLines.open(connect(join(this.#options.folder, 'monitor')));
    try {
      lines.write({ execute: 'qmp_capabilities' });
      await lines.find((answer) => 'return' in answer);
      lines.write({ execute: command, arguments: args });
      return resultOf(await lines.find((answer) => 'return' in answer || 'error' in answer));
    } finally {
      lines.close();
    }
  }
}

const seedFile = (folder: string) => join(folder, 'seed.img');
const exists = (path: string) =>
  access(path).then(
    () => true,
    () => false,
  );

function seedArguments(folder: string): string[] {
  const drive = `if=none,id=seed,file=${seedFile(folder)},format=raw,readonly=on`;
  return ['-drive', drive, '-device', 'virtio-blk-pci,drive=seed'];
}

async function uefiArguments(folder: string): Promise<string[]> {
  const variables = join(folder, 'variables.fd');
  await copyFile(join(ovmf, 'OVMF_VARS_4M.fd'), variables);
  const code = join(ovmf, 'OVMF_CODE_4M.fd');
  return [
    ...['-drive', `if=pflash,format=raw,readonly=on,file=${code}`],
    ...['-drive', `if=pflash,format=raw,file=${variables}`],
  ];
}

function resultOf(answer: Record<string, unknown>): unknown {
  if ('error' in answer) throw new Error(JSON.stringify(answer.error));
  return answer.return;
}
