// What a host says of its processor, read by several checks. Reads; owns nothing.
import type { Look } from './host-check.ts';

export type Processor = {
  vendor: 'intel' | 'amd' | 'arm' | 'other';
  flags: ReadonlySet<string>;
  /** The host is itself a virtual machine. */
  isGuest: boolean;
};

/** @param noted flags whose presence is noted down */
export async function readProcessor(look: Look, noted: readonly string[]): Promise<Processor> {
  const flagsOf = (text: string) => new Set((/^(?:flags|Features)\s*:\s*(.*)$/m.exec(text)?.[1] ?? '').split(/\s+/));
  const text =
    (await look.read('/proc/cpuinfo', (all) => {
      const flags = flagsOf(all);
      return noted.length === 0
        ? vendorOf(all)
        : noted.map((flag) => `${flags.has(flag) ? '' : 'no '}${flag}`).join(', ');
    })) ?? '';
  const flags = flagsOf(text);
  return { vendor: vendorOf(text), flags, isGuest: flags.has('hypervisor') };
}

function vendorOf(cpuinfo: string): Processor['vendor'] {
  if (/GenuineIntel/.test(cpuinfo)) return 'intel';
  if (/AuthenticAMD|HygonGenuine/.test(cpuinfo)) return 'amd';
  return /^CPU implementer/m.test(cpuinfo) ? 'arm' : 'other';
}

export const hasVirtualization = ({ flags }: Processor): boolean => flags.has('vmx') || flags.has('svm');
