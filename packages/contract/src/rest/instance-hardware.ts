// What the machine of an instance is made of, where that can be chosen: devices, firmware, boot order, a drive for CD-ROMs.
import { type Static, Type } from 'typebox';
import { BootDevice, Firmware, Hardware, WatchdogAction } from '../agent/desired.ts';
import { IdSchema } from '../ids.ts';
import { Name, Nullable } from './shared.ts';

const hardware = Type.Unsafe<Hardware>({
  ...Hardware,
  description:
    'virtio is fastest; emulated (AHCI, e1000, VGA) and legacy (IDE, e1000, VGA) are for guests without its drivers',
});
const firmware = Type.Unsafe<Firmware>({
  ...Firmware,
  description: 'uefi-secure starts only what Microsoft or the owner has signed (Secure Boot)',
});
const tpm = Type.Boolean({ description: 'a TPM 2.0 of its own' });
const watchdog = Type.Unsafe<WatchdogAction | null>({
  ...Nullable(WatchdogAction),
  description: 'what is done when the guest stops feeding its watchdog; null: there is none',
});

export const BootOrder = Type.Array(BootDevice, {
  minItems: 1,
  maxItems: 3,
  uniqueItems: true,
  description: 'what is tried in turn; a device that is not named is not booted from',
});
export type BootOrder = Static<typeof BootOrder>;

/** Fields of an instance. */
export const hardwareFields = {
  hardware,
  firmware,
  tpm,
  watchdog,
  bootOrder: BootOrder,
  cdrom: Nullable(
    Type.Object(
      { imageId: Nullable(IdSchema('image')), imageName: Nullable(Name) },
      { description: 'the drive and what lies in it; null: there is none' },
    ),
  ),
};

const chosen = {
  hardware: Type.Optional(hardware),
  firmware: Type.Optional(firmware),
  tpm: Type.Optional(tpm),
  watchdog: Type.Optional(watchdog),
  bootOrder: Type.Optional(BootOrder),
};

const imageRef = { minLength: 1, maxLength: 64 };

/** Fields of a launch. */
export const launchHardware = {
  ...chosen,
  iso: Type.Optional(
    Type.String({
      ...imageRef,
      description: 'id or name of an image of kind iso, to install from it on an empty disk',
    }),
  ),
  cdrom: Type.Optional(Type.Boolean({ description: 'an empty drive, for discs to be inserted while it runs' })),
};

const restart = Type.Optional(
  Type.Boolean({
    description: 'shut the guest down and start it with the change, when it cannot have it while it runs',
  }),
);

export const ChangeHardware = Type.Object(
  {
    ...chosen,
    cdrom: Type.Optional(Type.Boolean({ description: 'whether there is a drive; taken away, its disc goes too' })),
    restart,
  },
  { $id: 'ChangeHardware', additionalProperties: false },
);
export type ChangeHardware = Static<typeof ChangeHardware>;

export const ChangeCdrom = Type.Object(
  {
    image: Nullable(Type.String({ ...imageRef, description: 'id or name of an image of kind iso; null ejects' })),
    force: Type.Optional(Type.Boolean({ description: 'open the tray also when the guest has locked it' })),
    restart,
  },
  { $id: 'ChangeCdrom', additionalProperties: false },
);
export type ChangeCdrom = Static<typeof ChangeCdrom>;
