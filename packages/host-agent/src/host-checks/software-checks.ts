// libvirt and QEMU: their versions, and what machines they can make.
import type { HostFeature } from '@virga/contract/agent/host-features';
import type { HostCheck } from './host-check.ts';

const leastLibvirt = 8;
const leastQemu = 7;

const version = (name: 'libvirt' | 'qemu', title: string, least: number, packageName: string): HostCheck => ({
  name,
  title,
  why: `Virga is tried with ${title} ${least} and later.`,
  async look(look, { hypervisor }) {
    const found = (await hypervisor())[name];
    look.note(`libvirt: version of ${title}`, found);
    if (Number(found.split('.')[0]) >= least) return { verdict: 'ok', seen: `It is ${found}.` };
    return {
      verdict: 'failure',
      seen: `It is ${found}.`,
      todo: `Bring the distribution up to date, and with it ${packageName}.`,
    };
  },
});

const wanted: readonly { feature: HostFeature; name: string; packages: string }[] = [
  { feature: 'uefi', name: 'UEFI', packages: 'ovmf' },
  { feature: 'uefi-secure', name: 'Secure Boot', packages: 'ovmf' },
  { feature: 'tpm', name: 'a TPM', packages: 'swtpm swtpm-tools' },
];

const machines: HostCheck = {
  name: 'machines',
  title: 'UEFI and TPM for guests',
  why: 'Some guests, such as current versions of Windows, start with nothing less.',
  async look(look, { hypervisor, arch }) {
    const { features } = await hypervisor();
    look.note('libvirt: capabilities of domains', features.join(', ') || null);
    const missing = wanted.filter(({ feature }) => !features.includes(feature));
    if (missing.length === 0) return { verdict: 'ok', seen: 'Guests can have UEFI, Secure Boot and a TPM.' };
    const packages = [...new Set(missing.map((one) => one.packages))].join(' ');
    return {
      verdict: 'advice',
      seen: `Guests cannot have ${missing.map(({ name }) => name).join(', ')}.`,
      todo: `apt-get install ${arch === 'aarch64' ? packages.replace('ovmf', 'qemu-efi-aarch64') : packages}`,
    };
  },
};

export const softwareChecks: readonly HostCheck[] = [
  version('libvirt', 'libvirt', leastLibvirt, 'libvirt-daemon-system'),
  version('qemu', 'QEMU', leastQemu, 'qemu-system'),
  machines,
];
