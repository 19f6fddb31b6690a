// A small virtual machine that a disk is looked into with, where no program of the host can read its file systems: their drivers run
// in its kernel, not in the host's. QEMU is nobody in the sandbox, as all that reads a guest's disk. Owns that machine and the
// way to talk with it: scripts go in, their output comes back. Fails with CommandFailed; it ends when the disk is closed.
import type { ChildProcessWithoutNullStreams } from 'node:child_process';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { CommandFailed } from '../run-command.ts';
import type { RawDisk } from './raw-disk.ts';

export type ApplianceKit = {
  /** Has the kernel and the initial RAM disk, as images/appliance makes them. */
  folder: string;
  acceleration: 'kvm' | 'tcg';
};

const memoryMib = 256;
/** Of addresses: what QEMU maps beside the machine's memory. */
const mappedBytes = 3 * 1024 ** 3;
const lifeMs = 3_600_000;
const startMs = 180_000;
const answerMs = 600_000;
/** What a machine that has been taken over may say before it is ended. */
const mostBytes = 128 * 1024 * 1024;
const kernelArguments = 'quiet panic=-1 nokaslr mitigations=off cryptomgr.notests random.trust_cpu=on';

export class Appliance {
  private readonly machine: ChildProcessWithoutNullStreams;
  private received: Buffer[] = [];
  private bytes = 0;
  private said = '';
  private hasEnded = false;
  private wake = (): void => undefined;
  private last: Promise<unknown> = Promise.resolve();

  private constructor(machine: ChildProcessWithoutNullStreams) {
    this.machine = machine;
    machine.stdout.on('data', (chunk: Buffer) => {
      this.received.push(chunk);
      this.bytes += chunk.length;
      if (this.bytes > mostBytes) machine.kill('SIGKILL');
      this.wake();
    });
    machine.once('close', () => {
      this.hasEnded = true;
      this.wake();
    });
    machine.stderr.on('data', (chunk) => {
      this.said = `${this.said}${chunk}`.slice(-2000);
    });
    machine.on('error', (error) => {
      this.said = String(error);
    });
    machine.stdin.on('error', () => undefined);
  }

  /** @throws CommandFailed it does not start */
  static async start(disk: RawDisk, { folder, acceleration }: ApplianceKit): Promise<Appliance> {
    const isKvm = acceleration === 'kvm';
    const group = isKvm ? (await stat('/dev/kvm')).gid : undefined;
    const drive = { driver: 'raw', 'node-name': 'disk', 'read-only': !disk.writable, discard: 'unmap' };
    const file = { driver: 'file', filename: disk.path, locking: 'off', discard: 'unmap' };
    const machine = disk.start(
      'qemu-system-x86_64',
      [
        ...['-accel', isKvm ? 'kvm' : 'tcg,thread=single,tb-size=64', '-cpu', isKvm ? 'host' : 'qemu64'],
        ...['-machine', 'pc,usb=off', '-m', String(memoryMib), '-nodefaults', '-no-user-config', '-display', 'none'],
        ...['-no-reboot', '-kernel', join(folder, 'vmlinuz'), '-initrd', join(folder, 'initrd.img')],
        ...['-append', kernelArguments, '-blockdev', JSON.stringify({ ...drive, file })],
        ...['-device', 'virtio-blk-pci,drive=disk', '-chardev', 'stdio,id=port'],
        ...['-device', 'virtio-serial-pci', '-device', 'virtserialport,chardev=port'],
      ],
      { timeoutMs: lifeMs, memoryBytes: mappedBytes, group },
    );
    const appliance = new Appliance(machine);
    const greeting = await appliance.line(startMs);
    if (greeting !== 'ready') throw appliance.failure(`it said ${JSON.stringify(greeting)}`);
    return appliance;
  }

  /** Runs a script of its shell. @returns its standard output @throws CommandFailed it ended with another code than 0 */
  run(script: string): Promise<Buffer> {
    const answer = this.last.then(() => this.ask(script));
    this.last = answer.catch(() => undefined);
    return answer;
  }

  private async ask(script: string): Promise<Buffer> {
    this.machine.stdin.write(`${Buffer.from(script).toString('base64')}\n`);
    const sizes = /^(\d+) (\d+) (\d+)$/
      .exec(await this.line(answerMs))
      ?.slice(1)
      .map(Number);
    if (sizes === undefined) throw this.failure('it did not answer');
    const [code, output, error] = sizes as [number, number, number];
    const content = await this.take(output + error, answerMs);
    if (code === 0) return content.subarray(0, output);
    throw new CommandFailed(
      'the appliance',
      code,
      content.subarray(output).toString(),
      undefined,
      content.subarray(0, output).toString(),
    );
  }

  private async line(timeoutMs: number): Promise<string> {
    await this.until(() => this.received.some((chunk) => chunk.includes('\n')), timeoutMs);
    const at = this.joined().indexOf('\n');
    return (await this.take(at + 1, timeoutMs)).subarray(0, at).toString();
  }

  private async take(bytes: number, timeoutMs: number): Promise<Buffer> {
    await this.until(() => this.bytes >= bytes, timeoutMs);
    const all = this.joined();
    this.received = [all.subarray(bytes)];
    this.bytes -= bytes;
    return all.subarray(0, bytes);
  }

  private joined(): Buffer {
    const all = Buffer.concat(this.received);
    this.received = [all];
    return all;
  }

  private async until(isThere: () => boolean, timeoutMs: number): Promise<void> {
    const deadline = Date.now() + timeoutMs;
    while (!isThere()) {
      if (this.hasEnded) throw this.failure('it ended');
      const leftMs = deadline - Date.now();
      if (leftMs <= 0) throw this.failure(`it did not answer within ${timeoutMs / 1000} s`);
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, leftMs);
        this.wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  }

  private failure(what: string): CommandFailed {
    return new CommandFailed('the appliance', null, `${what} ${this.said}`, undefined);
  }
}
