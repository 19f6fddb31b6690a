// What a RAID controller answers about the caches of one of its logical drives, whichever program asked it.
import type { Reading } from '@virga/contract/agent/block-devices';

export type ControllerAnswer = {
  /** The controller keeps writes in its cache after it has acknowledged them. */
  writeBack: boolean;
  battery: 'good' | 'bad' | 'none';
  /** The own caches of the disks behind it. */
  diskCache: 'off' | 'on' | 'unknown';
  read: Reading[];
};

/** With the name that the kernel has for it. */
export type LogicalDrive = ControllerAnswer & { device: string };

/** The programs say `Disabled` or `Enabled`; everything else leaves it to the disks. */
export function diskCacheOf(says: string): ControllerAnswer['diskCache'] {
  if (/^disabled$/i.test(says)) return 'off';
  return /^enabled$/i.test(says) ? 'on' : 'unknown';
}

/** The value of a line `Name : value`, in the first line that has this name. */
export const fieldOf = (text: string, name: string): string | undefined =>
  new RegExp(`^\\s*${name.replace(/[&()/]/g, '\\$&')}\\s*:\\s*(.*?)\\s*$`, 'm').exec(text)?.[1];
