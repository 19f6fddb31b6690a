// The rules of what a machine is made of, pure: what goes together. What a host can give is the contract's to say.
import type { DesiredInstance } from '@virga/contract/agent/desired';
import { VirgaError } from '@virga/contract/errors';

export type MachineHardware = Pick<DesiredInstance, 'hardware' | 'firmware' | 'tpm' | 'watchdog' | 'bootOrder'> & {
  /** There is a drive for CD-ROMs. */
  cdromDrive: boolean;
};

/** @throws InvalidArgument with the field: these do not go together */
export function refuseImpossible({ hardware, firmware, bootOrder, cdromDrive }: MachineHardware): void {
  if (hardware === 'legacy' && firmware === 'uefi-secure') {
    throw new VirgaError('InvalidArgument', {
      detail: 'Secure Boot needs a chipset that legacy hardware does not have.',
      action: 'Choose emulated hardware, which has it, or the firmware uefi.',
      field: '/firmware',
    });
  }
  if (bootOrder.includes('cdrom') && !cdromDrive) {
    throw new VirgaError('InvalidArgument', {
      detail: 'The boot order names a CD-ROM drive, but there is none.',
      action: 'Ask for a drive too, or leave cdrom out of the boot order.',
      field: '/bootOrder',
    });
  }
}
