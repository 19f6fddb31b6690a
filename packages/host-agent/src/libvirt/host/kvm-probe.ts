// Proves KVM by booting a 64-bit Linux kernel under it: a /dev/kvm that exists, and even one that runs small programs, is
// not a KVM that works. Owns the child process and its deadline. Whatever is seen becomes the reason.
import { spawn } from 'node:child_process';
import { access, constants, readdir } from 'node:fs/promises';
import { release } from 'node:os';
import { join } from 'node:path';
import type { Acceleration } from '@virga/contract/agent/host-facts';
import type { Hypervisor } from '../hypervisor.ts';
import { isLibvirtError } from '../hypervisor-errors.ts';
import { hostArchitecture } from './architecture.ts';

export type KvmProbe = {
  /** A kernel to boot, when it is there; else one of the boot folder. */
  kernelPath?: string | undefined;
  /** Default `/boot`. */
  bootFolder?: string | undefined;
};

/** `isLasting`: it holds until the host boots again. */
export type Verdict = { acceleration: Acceleration; isLasting: boolean };

/** A kernel that works prints all the time; one that does not burns a processor until it is ended. */
const silenceMs = 5_000;
const guestMemoryMib = 256;
/** Without a root disk this is how far a kernel comes: everything of it works. */
const reachedTheEnd = /VFS: (?:Unable to mount root|Cannot open root device)|No working init found/;
const machines = { x86_64: 'q35', aarch64: 'virt' } as const;
const consoles = { x86_64: 'ttyS0', aarch64: 'ttyAMA0' } as const;

export async function probeKvm(hypervisor: Hypervisor, probe: KvmProbe, signal: AbortSignal): Promise<Verdict> {
  const emulate = (reason: string, isLasting = false): Verdict => ({
    acceleration: { mode: 'tcg', reason },
    isLasting,
  });
  const access = await deviceTrouble();
  if (access !== undefined) return emulate(access);
  if (!(await libvirtOffersKvm(hypervisor))) {
    return emulate(
      'libvirt does not offer KVM, though /dev/kvm is there: QEMU’s user may not open it. ' +
        'Repair it with virga hosts check --fix --only kvm-permissions.',
    );
  }
  const kernel = await findKernel(probe);
  if (kernel === undefined) {
    return emulate('/dev/kvm is there, but there is no kernel in /boot to prove with that Linux boots under it.');
  }
  const trouble = await bootTrouble(kernel, signal);
  if (trouble !== undefined) return emulate(`${kernel} does not boot under KVM: ${trouble}`, true);
  return { acceleration: { mode: 'kvm', reason: `${kernel} was booted under KVM.` }, isLasting: true };
}

async function deviceTrouble(): Promise<string | undefined> {
  try {
    await access('/dev/kvm', constants.R_OK | constants.W_OK);
    return undefined;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT')
      return 'There is no /dev/kvm: the processor or the firmware has virtualization switched off.';
    return `/dev/kvm cannot be opened (${code}).`;
  }
}

async function libvirtOffersKvm(hypervisor: Hypervisor): Promise<boolean> {
  return hypervisor.ask('look at KVM', async ({ node }) => {
    try {
      await node.domainCapabilities({ virtType: 'kvm', arch: hostArchitecture() });
      return true;
    } catch (error) {
      if (isLibvirtError(error, 'INVALID_ARG', 'CONFIG_UNSUPPORTED', 'NO_SUPPORT', 'OPERATION_UNSUPPORTED'))
        return false;
      throw error;
    }
  });
}

async function findKernel({ kernelPath, bootFolder = '/boot' }: KvmProbe): Promise<string | undefined> {
  const inBoot = await readdir(bootFolder).catch(() => []);
  const others = inBoot.filter((name) => name.startsWith('vmlinuz-')).sort();
  const candidates = [
    ...(kernelPath === undefined ? [] : [kernelPath]),
    ...[`vmlinuz-${release()}`, ...others.reverse()].map((name) => join(bootFolder, name)),
  ];
  for (const candidate of candidates) {
    if (
      await access(candidate, constants.R_OK).then(
        () => true,
        () => false,
      )
    )
      return candidate;
  }
  return undefined;
}

/** Boots the kernel. @returns what went wrong, as a sentence; undefined when it came to its end */
function bootTrouble(kernel: string, signal: AbortSignal): Promise<string | undefined> {
  const arch = hostArchitecture();
  const args = [
    ...['-accel', 'kvm', '-machine', machines[arch], '-cpu', 'host', '-m', String(guestMemoryMib)],
    ...['-nodefaults', '-no-user-config', '-display', 'none', '-no-reboot', '-serial', 'stdio', '-kernel', kernel],
    ...['-append', `console=${consoles[arch]} earlyprintk=serial,ttyS0 panic=-1`],
  ];
  // A kernel that hangs burns a processor for ever: it must not outlive us, however we end.
  const argv = ['--pdeathsig', 'KILL', `qemu-system-${arch}`, ...args];
  const child = spawn('setpriv', argv, { stdio: ['ignore', 'pipe', 'pipe'], signal, killSignal: 'SIGKILL' });
  let printed = '';
  let complaint = '';
  return new Promise((resolve, reject) => {
    const end = (trouble: string | undefined) => {
      clearTimeout(deadline);
      child.kill('SIGKILL');
      if (signal.aborted) reject(signal.reason);
      else resolve(trouble);
    };
    const deadline = setTimeout(() => {
      end(`for ${silenceMs / 1000} s nothing more came; ${whatItPrinted(printed)}.`);
    }, silenceMs);
    child.stdout.setEncoding('latin1').on('data', (text: string) => {
      printed += text;
      deadline.refresh();
      if (reachedTheEnd.test(printed)) end(undefined);
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      complaint += text;
    });
    child.once('error', (error) => end(`QEMU cannot be started (${(error as NodeJS.ErrnoException).code}).`));
    child.once('close', (code) => {
      const said = complaint.trim() === '' ? '' : `; QEMU said “${lastLine(complaint)}”`;
      end(`QEMU ended with code ${code}; ${whatItPrinted(printed)}${said}.`);
    });
  });
}

const whatItPrinted = (text: string): string =>
  text.trim() === '' ? 'it had not printed a line' : `the last that it printed was “${lastLine(text)}”`;

const lastLine = (text: string): string =>
  text
    .trim()
    .split(/[\r\n]+/)
    .at(-1)
    ?.trim()
    .slice(0, 200) ?? '';
