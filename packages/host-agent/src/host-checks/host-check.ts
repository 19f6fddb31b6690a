// What a check of a host is, and what it is given to look at. A check reads and never changes; whatever it reads is noted down
// with where it stood, so that a verdict can be followed.

import type { WantedSetting } from '@virga/contract/agent/host-changes';
import type { CheckReading, CheckVerdict } from '@virga/contract/agent/host-checks';
import type { Acceleration } from '@virga/contract/agent/host-facts';
import type { HostFeature } from '@virga/contract/agent/host-features';
import type { HostSystem } from '../host-system/host-system.ts';

export type Hypervisor = { qemu: string; libvirt: string; features: HostFeature[] };

/** What a check may ask of besides files and programs. */
export type CheckedHost = {
  arch: 'x86_64' | 'aarch64';
  storagePath: string;
  /** Of the folder with images and instances. */
  storageSpace(): Promise<{ totalBytes: number; freeBytes: number }>;
  /** Files there can be opened past the page cache. */
  directIo: boolean;
  /** How guests run; `proven` when a kernel was booted to find out, or was tried to. */
  acceleration(): Promise<Acceleration & { proven: boolean }>;
  /** @throws HostUnavailable libvirt does not answer */
  hypervisor(): Promise<Hypervisor>;
  pause(ms: number): Promise<void>;
};

export type Finding = {
  verdict: CheckVerdict;
  /** One sentence. */
  seen: string;
  /** What would repair it. */
  settings?: WantedSetting[];
  /** What the administrator has to do, also after the settings were made. One sentence. */
  todo?: string | undefined;
};

export type HostCheck = {
  /** Such as `kvm-permissions`. */
  name: string;
  title: string;
  /** Why it matters, one sentence. */
  why: string;
  /** What it can repair by itself, such as `group and mode of /dev/kvm`; absent where nothing. */
  repairs?: string;
  look(look: Look, host: CheckedHost): Promise<Finding>;
};

const longestReading = 160;

/** The host as one check sees it. Owns the notes of what was read. */
export class Look {
  readonly readings: CheckReading[] = [];
  /** For readers of other parts of the agent, whose reading is not noted down. */
  readonly system: HostSystem;

  private readonly tuned: ReadonlySet<string>;

  /** @param tuned places that have the value that somebody chose for this host on purpose */
  constructor(system: HostSystem, tuned: ReadonlySet<string> = new Set()) {
    this.system = system;
    this.tuned = tuned;
  }

  /** True when what stands there was chosen by tuning, which knows what the host is for. */
  isTuned(path: string): boolean {
    return this.tuned.has(path);
  }

  /** The text of a file without spaces around it. @param pick what of it is noted down; default its beginning */
  async read(path: string, pick: (text: string) => string = (text) => text): Promise<string | undefined> {
    const text = (await this.system.read(path))?.trim();
    this.note(path, text === undefined ? null : pick(text));
    return text;
  }

  async readNumber(path: string): Promise<number | undefined> {
    const text = await this.read(path);
    return text !== undefined && /^-?\d+$/.test(text) ? Number(text) : undefined;
  }

  async list(path: string): Promise<string[]> {
    const names = await this.system.list(path);
    this.note(`${path}/`, names.length === 0 ? null : names.join(' '));
    return names;
  }

  async exists(path: string): Promise<boolean> {
    const exists = await this.system.exists(path);
    this.note(path, exists ? 'is there' : null);
    return exists;
  }

  /** What a program printed; undefined when it is not there or failed. */
  async run(program: string, args: readonly string[], pick?: (text: string) => string): Promise<string | undefined> {
    const text = await this.system.run(program, args, { timeoutMs: 10_000 }).then(
      (output) => output.trim(),
      () => undefined,
    );
    this.note([program, ...args].join(' '), text === undefined ? null : (pick?.(text) ?? (text || 'succeeded')));
    return text;
  }

  note(from: string, value: string | null): void {
    const short = value !== null && value.length > longestReading ? `${value.slice(0, longestReading - 1)}…` : value;
    this.readings.push({ from, value: short?.replace(/\s+/g, ' ') ?? null });
  }
}
