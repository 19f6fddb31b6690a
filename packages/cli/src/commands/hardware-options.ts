// Options that say what a machine is made of, of a launch and of a change, and how it is shown.
import { VirgaError } from '@virga/contract/errors';
import type { Instance } from '@virga/contract/rest/instances';
import type { TextOption } from '../command.ts';

export const hardwareOptions = {
  hardware: {
    type: 'text',
    value: 'KIND',
    choices: ['virtio', 'emulated', 'legacy'],
    summary:
      'virtio is fastest; emulated (AHCI, e1000, VGA) and legacy (IDE, e1000, VGA) are for guests without its drivers',
  },
  firmware: {
    type: 'text',
    value: 'FIRMWARE',
    choices: ['bios', 'uefi', 'uefi-secure'],
    summary: 'how it boots; uefi-secure starts only what is signed',
  },
  watchdog: {
    type: 'text',
    value: 'ACTION',
    choices: ['reset', 'poweroff', 'pause', 'none'],
    summary: 'a watchdog, and what is done when the guest stops feeding it',
  },
  boot: {
    type: 'text',
    value: 'DEVICES',
    summary: 'what to boot from, in turn, such as disk,cdrom,network',
  },
} as const satisfies Record<string, TextOption>;

export const restartOption = {
  type: 'flag',
  summary: 'shut it down and start it with the change, when it cannot have it while it runs',
} as const;

type Chosen = {
  hardware: 'virtio' | 'emulated' | 'legacy' | undefined;
  firmware: 'bios' | 'uefi' | 'uefi-secure' | undefined;
  watchdog: 'reset' | 'poweroff' | 'pause' | 'none' | undefined;
  boot: string | undefined;
};

/** The fields of a request. @throws InvalidArgument the boot order names something else */
export function readHardware({ hardware, firmware, watchdog, boot }: Chosen) {
  return {
    ...(hardware === undefined ? {} : { hardware }),
    ...(firmware === undefined ? {} : { firmware }),
    ...(watchdog === undefined ? {} : { watchdog: watchdog === 'none' ? null : watchdog }),
    ...(boot === undefined ? {} : { bootOrder: readBootOrder(boot) }),
  };
}

const isBootDevice = (word: string) => word === 'disk' || word === 'cdrom' || word === 'network';

function readBootOrder(text: string): ('disk' | 'cdrom' | 'network')[] {
  const words = text.split(',').map((word) => word.trim());
  const devices = words.filter(isBootDevice);
  if (devices.length === words.length && new Set(devices).size === devices.length) return devices;
  throw new VirgaError('InvalidArgument', {
    detail: `--boot ${text} is no boot order.`,
    action: 'Name disk, cdrom and network, each at most once, with commas between them.',
  });
}

/** Such as `emulated, uefi-secure, TPM 2.0`. */
export function describeHardware({ hardware, firmware, tpm, watchdog }: Instance): string {
  return [hardware, firmware, tpm && 'TPM 2.0', watchdog && `watchdog (${watchdog})`].filter(Boolean).join(', ');
}

export function describeDrive({ cdrom }: Instance): string | null {
  if (cdrom === null) return null;
  return cdrom.imageId === null ? 'empty' : `${cdrom.imageName ?? cdrom.imageId} (${cdrom.imageId})`;
}
