// What the processor and the firmware have for virtualization. Each check reads, and changes nothing.
import type { CheckedHost, Finding, HostCheck, Look } from './host-check.ts';
import { hasVirtualization, readProcessor } from './processor.ts';
import { moduleOptionRepair } from './repairs.ts';

const extensions = { intel: 'VT-x', amd: 'AMD-V', arm: 'EL2', other: 'hardware virtualization' } as const;
const inSetup = { intel: 'Intel Virtualization Technology (VT-x)', amd: 'SVM Mode' } as const;
const noVirtualization: Finding = {
  verdict: 'not-applicable',
  seen: 'Without hardware virtualization there is nothing to look at.',
};

const hardwareVirtualization: HostCheck = {
  name: 'hardware-virtualization',
  title: 'Hardware virtualization',
  why: 'Without it every instruction of a guest is emulated, which is many times slower.',
  async look(look, { arch }) {
    if (arch === 'aarch64') {
      return (await look.exists('/dev/kvm'))
        ? { verdict: 'ok', seen: 'The kernel was started at EL2 and runs guests with it.' }
        : {
            verdict: 'failure',
            seen: 'There is no /dev/kvm: the kernel was not started at EL2, or has no KVM.',
            todo: 'Have the firmware start the kernel at EL2; in a virtual machine, switch on nested virtualization.',
          };
    }
    const processor = await readProcessor(look, ['vmx', 'svm', 'hypervisor']);
    const name = extensions[processor.vendor];
    if (hasVirtualization(processor)) return { verdict: 'ok', seen: `The processor has ${name}.` };
    return {
      verdict: 'failure',
      seen: `The processor shows no ${name}.`,
      todo: processor.isGuest
        ? 'This host is a virtual machine: have its hypervisor switch on nested virtualization for it.'
        : 'Switch it on in the firmware setup, see virtualization-firmware; a processor without it can only emulate.',
    };
  },
};

const firmware: HostCheck = {
  name: 'virtualization-firmware',
  title: 'Virtualization in the firmware',
  why: 'A firmware that has locked it away keeps a processor from what it can do.',
  async look(look, { arch }) {
    if (arch === 'aarch64') return { verdict: 'not-applicable', seen: 'This kind of processor has no such lock.' };
    const processor = await readProcessor(look, ['vmx', 'svm', 'hypervisor']);
    if (hasVirtualization(processor)) return { verdict: 'ok', seen: 'The firmware leaves it to the operating system.' };
    if (processor.isGuest) {
      return { verdict: 'not-applicable', seen: 'The host is a virtual machine: its hypervisor decides.' };
    }
    if (processor.vendor !== 'intel' && processor.vendor !== 'amd') return noVirtualization;
    const setting = inSetup[processor.vendor];
    if (await isLocked(look, processor.vendor)) {
      return {
        verdict: 'failure',
        seen: `The firmware has switched ${extensions[processor.vendor]} off.`,
        todo: `Switch on ${setting} in the firmware setup, then start the host anew.`,
      };
    }
    return {
      verdict: 'warning',
      seen: 'The processor does not show it, and the kernel does not say whether the firmware is why.',
      todo: `Look for ${setting} in the firmware setup; apt-get install msr-tools lets this check see more.`,
    };
  },
};

const vmxOutsideSmx = 0x4;
const locked = 0x1;
const svmDisabled = 0x10;

/** The register that the firmware locks, where it can be read; else what the kernel said when it started. */
async function isLocked(look: Look, vendor: 'intel' | 'amd'): Promise<boolean> {
  const register = await look.run('rdmsr', [vendor === 'intel' ? '0x3a' : '0xc0010114']);
  if (register !== undefined && /^[0-9a-f]+$/.test(register)) {
    const low = Number.parseInt(register.slice(-4), 16);
    return vendor === 'intel' ? (low & locked) !== 0 && (low & vmxOutsideSmx) === 0 : (low & svmDisabled) !== 0;
  }
  const complaint = /^.*\b(?:VMX|SVM|kvm)\b.*disabled.*(?:BIOS|MSR_VM_CR).*$/im;
  const said = await look.run('dmesg', [], (text) => complaint.exec(text)?.[0]?.trim() ?? 'nothing of it');
  return complaint.test(said ?? '');
}

const nestedPaging: HostCheck = {
  name: 'nested-paging',
  title: 'Nested paging (EPT, NPT)',
  why: 'Without it KVM keeps shadow page tables, and guests pay for every change of their memory map.',
  repairs: 'option of the module, in /etc/modprobe.d',
  async look(look, host) {
    return moduleFeature(look, host, {
      check: 'nested-paging',
      names: { intel: 'EPT', amd: 'NPT' },
      options: { intel: 'ept', amd: 'npt' },
      arm: 'Stage 2 translation is part of the architecture.',
    });
  },
};

const vpid: HostCheck = {
  name: 'vpid',
  title: 'Tagged TLB (VPID, ASID)',
  why: 'Without it the processor forgets its address translations at each switch between guest and host.',
  repairs: 'option of the module, in /etc/modprobe.d',
  async look(look, host) {
    return moduleFeature(look, host, {
      check: 'vpid',
      names: { intel: 'VPID', amd: 'address space ids' },
      options: { intel: 'vpid' },
      arm: 'VMIDs are part of the architecture.',
    });
  },
};

type Feature = {
  check: string;
  names: { intel: string; amd: string };
  /** Of kvm_intel and kvm_amd, and of cpuinfo; a feature without one is always in use. */
  options: { intel: string; amd?: string };
  arm: string;
};

async function moduleFeature(look: Look, { arch }: CheckedHost, feature: Feature): Promise<Finding> {
  if (arch === 'aarch64') return { verdict: 'ok', seen: feature.arm };
  const flags = Object.values(feature.options);
  const processor = await readProcessor(look, flags);
  if (!hasVirtualization(processor) || (processor.vendor !== 'intel' && processor.vendor !== 'amd'))
    return noVirtualization;
  const { vendor } = processor;
  const name = feature.names[vendor];
  const option = feature.options[vendor];
  if (option === undefined) return { verdict: 'ok', seen: `The processor has ${name} as part of its virtualization.` };
  if (!processor.flags.has(option)) return { verdict: 'warning', seen: `The processor has no ${name}.` };
  const module = `kvm_${vendor}`;
  const value = await look.read(`/sys/module/${module}/parameters/${option}`);
  if (value === undefined) return { verdict: 'ok', seen: `The processor has ${name}; ${module} is not loaded.` };
  if (/^[Y1]/.test(value)) return { verdict: 'ok', seen: `KVM uses ${name}.` };
  const seen = `The processor has ${name}, but KVM was told not to use it.`;
  // Only what can be unloaded has a state.
  if (!(await look.exists(`/sys/module/${module}/initstate`))) {
    return {
      verdict: 'warning',
      seen,
      todo: `Take ${module}.${option}=0 from the kernel command line, then start the host anew.`,
    };
  }
  return {
    verdict: 'warning',
    seen,
    settings: moduleOptionRepair(feature.check, module, `${option}=1`, `KVM uses ${name} when it is loaded again.`),
    todo: `Load KVM again: with no guest running, modprobe -r ${module} && modprobe ${module}; else start the host anew.`,
  };
}

const interrupts: HostCheck = {
  name: 'interrupt-controller',
  title: 'Interrupts of guests (APICv, AVIC, GIC)',
  why: 'Interrupts that the processor delivers to guests by itself cost no exit to the host.',
  async look(look, { arch }) {
    if (arch === 'aarch64') {
      const gic = (text: string) => /GICv\d/.exec(text)?.[0] ?? 'no GIC';
      const text = (await look.read('/proc/interrupts', gic)) ?? '';
      return gic(text) === 'GICv2'
        ? { verdict: 'advice', seen: 'The host has a GICv2: a guest can have 8 vCPUs at most.' }
        : {
            verdict: 'ok',
            seen: `The host has ${/GICv\d/.test(text) ? `a ${gic(text)}` : 'another controller than a GIC'}.`,
          };
    }
    const [apicv, avic] = await Promise.all([
      look.read('/sys/module/kvm_intel/parameters/enable_apicv'),
      look.read('/sys/module/kvm_amd/parameters/avic'),
    ]);
    const value = apicv ?? avic;
    if (value === undefined) {
      return { verdict: 'not-applicable', seen: 'Neither kvm_intel nor kvm_amd is loaded, or they do not tell.' };
    }
    const name = apicv === undefined ? 'AVIC' : 'APICv';
    return /^[Y1]/.test(value)
      ? { verdict: 'ok', seen: `KVM uses ${name}.` }
      : { verdict: 'advice', seen: `KVM does not use ${name}: the processor has none, or KVM was told so.` };
  },
};

const iommu: HostCheck = {
  name: 'iommu',
  title: 'IOMMU',
  why: 'Without one no device of the host, such as a GPU, can be handed to a guest; nothing else needs it.',
  async look(look, { arch }) {
    const groups = (await look.system.list('/sys/kernel/iommu_groups')).length;
    look.note('/sys/kernel/iommu_groups/', `${groups} groups`);
    if (groups > 0) return { verdict: 'ok', seen: `The kernel uses it: ${groups} groups of devices.` };
    const tables = await look.list('/sys/firmware/acpi/tables');
    const { vendor } = await readProcessor(look, []);
    if (tables.some((table) => ['DMAR', 'IVRS', 'IORT'].includes(table))) {
      const option = vendor === 'intel' ? 'intel_iommu=on iommu=pt' : 'iommu=pt';
      return {
        verdict: 'advice',
        seen: 'The firmware tells of an IOMMU, which the kernel does not use.',
        todo: `Add ${option} to the kernel command line, then start the host anew.`,
      };
    }
    const where = { intel: 'VT-d', amd: 'AMD-Vi (IOMMU)', arm: 'the SMMU', other: 'it' }[
      arch === 'aarch64' ? 'arm' : vendor
    ];
    return {
      verdict: 'advice',
      seen: 'The firmware tells of no IOMMU.',
      todo: `To hand devices to guests, switch on ${where} in the firmware setup.`,
    };
  },
};

const secureGuests: HostCheck = {
  name: 'secure-guests',
  title: 'Encrypted memory of guests (SEV, TDX)',
  why: 'With it a guest need not trust the host that it runs on; ordinary clouds do without.',
  async look(look) {
    const [sev, tdx] = await Promise.all([
      look.read('/sys/module/kvm_amd/parameters/sev'),
      look.read('/sys/module/kvm_intel/parameters/tdx'),
    ]);
    if (/^[Y1]/.test(sev ?? '')) return { verdict: 'ok', seen: 'KVM can use AMD SEV.' };
    if (/^[Y1]/.test(tdx ?? '')) return { verdict: 'ok', seen: 'KVM can use Intel TDX.' };
    return { verdict: 'advice', seen: 'The host cannot encrypt the memory of guests.' };
  },
};

export const virtualizationChecks: readonly HostCheck[] = [
  hardwareVirtualization,
  firmware,
  nestedPaging,
  vpid,
  interrupts,
  iommu,
  secureGuests,
];
