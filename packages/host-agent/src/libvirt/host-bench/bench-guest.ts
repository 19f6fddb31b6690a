// A guest to measure with: started, waited for, given work, and ended. It is transient: once it stops, libvirt forgets it.
// Whatever it does not do in time is an error that says so.
import { setTimeout as delay } from 'node:timers/promises';
import { VirgaError } from '@virga/contract/errors';
import type { DomainRef } from '@virga/libvirt/protocol/objects';
import type { AgentContext } from '../agent-context.ts';
import { isLibvirtError } from '../hypervisor-errors.ts';

/** An emulated guest on a busy host boots for a minute. */
const bootTimeoutMs = 180_000;
/** Beyond what was asked for: to start the program, and to tell. */
const graceMs = 60_000;
const answerSeconds = 10;
const pingSeconds = 2;
const pollMs = 100;

type Status = { exited: boolean; exitcode?: number; signal?: number; 'out-data'?: string; 'err-data'?: string };

export class BenchGuest {
  readonly name: string;
  private readonly context: Pick<AgentContext, 'hypervisor'>;
  private readonly ref: DomainRef;
  private readonly signal: AbortSignal;

  constructor(context: Pick<AgentContext, 'hypervisor'>, ref: DomainRef, signal: AbortSignal) {
    this.context = context;
    this.ref = ref;
    this.name = ref.name;
    this.signal = signal;
  }

  /** @throws OperationFailed its agent has not answered in time, or it stopped */
  async booted(): Promise<void> {
    const deadline = performance.now() + bootTimeoutMs;
    for (;;) {
      this.signal.throwIfAborted();
      if (await this.answers()) return;
      if (performance.now() > deadline) throw failed(`${this.name} did not boot within ${bootTimeoutMs / 1000} s.`);
      await delay(pollMs, undefined, { signal: this.signal });
    }
  }

  /**
   * Runs a line of shell in it.
   * @param workMs how long the work takes if all goes well
   * @returns what it wrote to its standard output
   * @throws OperationFailed it failed, or took a minute longer
   */
  async run(line: string, workMs = 0): Promise<string> {
    const args = { path: '/bin/sh', arg: ['-c', line], 'capture-output': true };
    const { pid } = (await this.ask({ execute: 'guest-exec', arguments: args })) as { pid: number };
    const deadline = performance.now() + workMs + graceMs;
    // Asking takes of the processor that is measured.
    await delay(workMs, undefined, { signal: this.signal });
    for (;;) {
      const status = (await this.ask({ execute: 'guest-exec-status', arguments: { pid } })) as Status;
      if (status.exited && status.exitcode === 0) return decoded(status['out-data']);
      if (status.exited) {
        throw failed(
          `“${line}” ended with ${status.exitcode ?? `signal ${status.signal}`} in ${this.name}: ${decoded(status['err-data']).trim().slice(-300)}.`,
        );
      }
      if (performance.now() > deadline) throw failed(`“${line}” did not end in time in ${this.name}.`);
      await delay(pollMs, undefined, { signal: this.signal });
    }
  }

  /** Lets its processors, and QEMU's own threads, run on these of the host only. */
  async pin(vcpu: readonly number[], emulator: readonly number[]): Promise<void> {
    await this.context.hypervisor.act(`pin ${this.name}`, async ({ domains }) => {
      for (const { vcpu: number } of await domains.vcpus(this.ref))
        await domains.pinVcpu(this.ref, number, vcpu, { live: true });
      await domains.pinEmulator(this.ref, emulator, { live: true });
    });
  }

  /** What of the host's memory its QEMU has. */
  residentMib(): Promise<number> {
    return this.context.hypervisor.ask(`look at the memory of ${this.name}`, async ({ domains }) => {
      const { rssKib = 0 } = await domains.memoryStats(this.ref);
      return rssKib / 1024;
    });
  }

  /** Gone when it returns; one that is gone already is fine. */
  async end(): Promise<void> {
    await this.context.hypervisor.act(`end ${this.name}`, async ({ domains }) => {
      await domains.destroy(this.ref).catch((error) => {
        if (!isLibvirtError(error, 'NO_DOMAIN', 'OPERATION_INVALID')) throw error;
      });
    });
  }

  private answers(): Promise<boolean> {
    return this.context.hypervisor.reach(`ask ${this.name}`, async ({ domains }) => {
      try {
        await domains.agentCommand(this.ref, { execute: 'guest-ping' }, { agentTimeoutSeconds: pingSeconds });
        return true;
      } catch (error) {
        if (isLibvirtError(error, 'AGENT_UNRESPONSIVE', 'AGENT_UNSYNCED', 'OPERATION_TIMEOUT', 'RESOURCE_BUSY'))
          return false;
        throw error;
      }
    });
  }

  private ask(command: { execute: string; arguments?: unknown }): Promise<unknown> {
    return this.context.hypervisor.reach(`ask ${this.name}`, async ({ domains }) => {
      this.signal.throwIfAborted();
      return domains.agentCommand(this.ref, command, { agentTimeoutSeconds: answerSeconds });
    });
  }
}

const decoded = (base64 = ''): string => Buffer.from(base64, 'base64').toString('utf8');

const failed = (detail: string): VirgaError =>
  new VirgaError('OperationFailed', { detail, action: 'Try again while the host is quieter.' });
