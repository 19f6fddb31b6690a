// The parts of a domain that follow from the kind of machine, its firmware and what was chosen for it: boot, security
// chip, watchdog, drive. Pure.
// @see https://libvirt.org/formatdomain.html#bios-bootloader
import type { BootDevice, DesiredInstance } from '@virga/contract/agent/desired';
import { element, textElement } from '../xml.ts';
import type { HostChoices } from './domain-host.ts';
import { type DiskPlace, type MachineProfile, machineProfile } from './machine-profile.ts';

type Machine = Pick<DesiredInstance, 'hardware' | 'firmware' | 'tpm' | 'watchdog' | 'bootOrder' | 'cdrom' | 'nics'>;

/**
 * Firmware by its abilities; libvirt finds the file, and makes the guest a copy of its variables. Each kind has variables of
 * its own: those of one without Secure Boot lack its keys.
 * @param nvram beginning of the name of the file of the variables
 */
export function osElement({ hardware, firmware }: Machine, { arch }: HostChoices, nvram: string): string {
  const type = textElement('type', 'hvm', { arch, machine: machineProfile(hardware, arch).machine });
  if (firmware === 'bios' && arch === 'x86_64') return element('os', {}, type);
  const feature = (name: string, isOn: boolean) => element('feature', { enabled: isOn ? 'yes' : 'no', name });
  if (firmware !== 'uefi-secure') {
    const plain = element('firmware', {}, feature('secure-boot', false));
    return element('os', { firmware: 'efi' }, type, plain, textElement('nvram', `${nvram}-uefi.fd`));
  }
  // Without keys enrolled, Secure Boot is there and checks nothing.
  const features = [feature('secure-boot', true), feature('enrolled-keys', true)];
  return element(
    'os',
    { firmware: 'efi' },
    type,
    element('firmware', {}, ...features),
    element('loader', { secure: 'yes' }),
    textElement('nvram', `${nvram}-uefi-secure.fd`),
  );
}

export function featuresElement({ firmware }: Machine, { arch }: HostChoices): string {
  // The variables of Secure Boot are written in system management mode only.
  const smm = firmware === 'uefi-secure' && element('smm', { state: 'on' });
  return element('features', {}, element('acpi', {}), arch === 'x86_64' && element('apic', {}), smm);
}

/** Place of each device in the boot order, from 1; cards follow each other. Undefined: it is not booted from. */
export function bootOrderOf({ bootOrder, nics }: Machine): (device: BootDevice, card?: number) => number | undefined {
  return (device, card = 0) => {
    const index = bootOrder.indexOf(device);
    if (index === -1) return undefined;
    const network = bootOrder.indexOf('network');
    // Several cards take several places.
    const before = network !== -1 && network < index ? Math.max(0, nics.length - 1) : 0;
    return index + 1 + before + card;
  };
}

export const bootElement = (order: number | undefined): string | false =>
  order !== undefined && element('boot', { order });

/** @param disc the file of what lies in it; null: it is empty */
export function cdromDrive(machine: Machine, profile: MachineProfile, disc: string | null): string | false {
  if (machine.cdrom === null) return false;
  return cdromElement(profile.cdrom, disc, bootOrderOf(machine)('cdrom'));
}

/** By this name the drive of a running domain is found. */
export const cdromAlias = 'ua-cdrom';

export function cdromElement(place: DiskPlace, disc: string | null, bootOrder: number | undefined): string {
  // The file is shared by all drives that it lies in: no guest's QEMU may own it, and none may guess what it is.
  const untouched = element('seclabel', { model: 'dac', relabel: 'no' });
  return element(
    'disk',
    { type: 'file', device: 'cdrom' },
    element('driver', { name: 'qemu', type: 'raw' }),
    disc !== null && element('source', { file: disc }, untouched),
    element('target', place),
    element('readonly', {}),
    bootElement(bootOrder),
    element('alias', { name: cdromAlias }),
  );
}

export function tpmElement({ tpm }: Machine): string | false {
  return tpm && element('tpm', { model: 'tpm-crb' }, element('backend', { type: 'emulator', version: '2.0' }));
}

export function watchdogElement({ watchdog }: Machine): string | false {
  return watchdog !== null && element('watchdog', { model: 'i6300esb', action: watchdog });
}
