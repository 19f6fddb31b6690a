// Decides between KVM and emulation, and says why. Owns the decision and its memory on disk, so that KVM is proven once for
// each boot, kernel and QEMU; the proof itself is the probe's. What stands in the way of a proof leads to emulation.
import { readFile } from 'node:fs/promises';
import { release } from 'node:os';
import { join } from 'node:path';
import type { Acceleration } from '@virga/contract/agent/host-facts';
import type { Logger } from 'pino';
import { writeFileDurably } from '../../durable-file.ts';
import type { Hypervisor } from '../hypervisor.ts';
import type { Storage } from '../storage.ts';
import { type KvmProbe, probeKvm, type Verdict } from './kvm-probe.ts';

export type AccelerationSetting = 'auto' | 'kvm' | 'tcg';

type Options = {
  setting: AccelerationSetting;
  probe: KvmProbe;
  storage: Storage;
  hypervisor: Hypervisor;
  log: Logger;
};

const forced = {
  kvm: 'It is set to kvm; whether that works was not tried.',
  tcg: 'It is set to tcg.',
} as const;

export class Accelerator {
  private readonly options: Options;
  private decision: Promise<Verdict> | undefined;
  private toldReason: string | undefined;
  private readonly ending = new AbortController();

  constructor(options: Options) {
    this.options = options;
  }

  get setting(): AccelerationSetting {
    return this.options.setting;
  }

  /**
   * The decision, made when it is first needed.
   * @param options.again decides once more what the host may have been mended for meanwhile
   * @throws HostUnavailable libvirt does not answer
   */
  async acceleration({ again = false }: { again?: boolean } = {}): Promise<Acceleration> {
    if (again && this.decision !== undefined && !(await this.decision).isLasting) this.decision = undefined;
    this.decision ??= this.decide().catch((error) => {
      this.decision = undefined;
      throw error;
    });
    return (await this.decision).acceleration;
  }

  /** Ends a proof that is under way; who waits for it gets the abort. */
  close(): void {
    this.ending.abort();
  }

  private async decide(): Promise<Verdict> {
    const { setting, hypervisor, storage, probe } = this.options;
    if (setting !== 'auto') return { acceleration: { mode: setting, reason: forced[setting] }, isLasting: true };
    const {
      major,
      minor,
      release: patch,
    } = await hypervisor.ask('look at QEMU', ({ node }) => node.hypervisorVersion());
    const bootId = await readFile('/proc/sys/kernel/random/boot_id', 'utf8').catch(() => '');
    const key = [bootId.trim(), release(), `${major}.${minor}.${patch}`, probe.kernelPath ?? ''].join(' ');
    const cacheFile = join(storage.path, 'acceleration.json');
    const remembered = await readCache(cacheFile);
    if (remembered?.key === key) return { acceleration: remembered.acceleration, isLasting: true };

    const verdict = await probeKvm(hypervisor, probe, this.ending.signal);
    this.tell(verdict.acceleration);
    if (verdict.isLasting) {
      await writeFileDurably(cacheFile, `${JSON.stringify({ key, acceleration: verdict.acceleration })}\n`, 0o644);
    }
    return verdict;
  }

  private tell({ mode, reason }: Acceleration): void {
    const { log } = this.options;
    if (reason === this.toldReason) return;
    this.toldReason = reason;
    if (mode === 'tcg') log.warn({ reason }, 'guests are emulated, which is slow');
    else log.info({ reason }, 'guests run on KVM');
  }
}

async function readCache(path: string): Promise<{ key: string; acceleration: Acceleration } | undefined> {
  try {
    return JSON.parse(await readFile(path, 'utf8'));
  } catch {
    return undefined; // not there, or cut short: probe again
  }
}
