// What can only be said on the kernel command line: huge pages of 1 GiB on a host whose memory is fragmented, and the
// scheduler of disks of one queue where no udev sets it. Owns one file of GRUB's configuration, and that GRUB reads it.
import type { WantedSetting } from '@virga/contract/agent/host-changes';
import type { HostSystem } from '../host-system/host-system.ts';
import { lastingFiles } from './lasting-files.ts';
import { isSingleQueue } from './places.ts';
import { refused, type TunedSetting } from './tuned-settings.ts';
import type { Wishes } from './wishes.ts';

export const grubFile = '/etc/default/grub.d/90-virga.cfg';
const grubConfiguration = '/boot/grub/grub.cfg';
const updateGrub = '/usr/sbin/update-grub';
const grubFolder = '/etc/default/grub.d';

/** @throws HostSettingRefused they were asked for, and the host does not start by a GRUB that could be told */
export async function bootArguments(
  system: HostSystem,
  wishes: Wishes,
  settings: readonly TunedSetting[],
): Promise<string[]> {
  const canBeTold = await hasGrub(system);
  const elevator = canBeTold ? await elevatorOf(system, settings) : undefined;
  const pages = wishes.get('hugePages1GibAtBoot');
  if (pages === undefined || pages.values[0] === '0') return elevator === undefined ? [] : [elevator];
  const wanted = ['hugepagesz=1G', `hugepages=${pages.values[0]}`];
  if (!(await system.exists('/sys/kernel/mm/hugepages/hugepages-1048576kB'))) {
    throw refused(pages.knob, 'The CPUs of the host have no pages of 1 GiB.', 'Ask for pages of 2 MiB.');
  }
  if (!canBeTold) {
    throw refused(
      pages.knob,
      'The host does not start by a GRUB whose configuration is in /etc/default/grub.d.',
      `Put ${wanted.join(' ')} on the kernel command line by hand, and leave this out.`,
    );
  }
  return elevator === undefined ? wanted : [elevator, ...wanted];
}

export const bootFile = (names: readonly string[]): WantedSetting => ({
  setting: {
    kind: 'file',
    path: grubFile,
    content:
      names.length === 0
        ? null
        : `# Made by virga hosts tune, which also takes it away: virga hosts tune --undo. Changes here are lost.\nGRUB_CMDLINE_LINUX="$GRUB_CMDLINE_LINUX ${names.join(' ')}"\n`,
  },
  why: 'Only the kernel command line does this; it counts from the next start of the host on.',
});

/** Whether what GRUB starts has all of these. */
export async function isInGrub(system: HostSystem, names: readonly string[]): Promise<boolean> {
  const words = new Set(((await system.read(grubConfiguration)) ?? '').split(/\s+/));
  return names.every((name) => words.has(name));
}

/** Of these, the ones that the kernel was not started with. */
export async function awaitingBoot(system: HostSystem, names: readonly string[]): Promise<string[]> {
  const words = ((await system.read('/proc/cmdline')) ?? '').trim().split(/\s+/);
  return names.every((name) => words.includes(name)) ? [] : [...names];
}

/** @throws CommandFailed */
export async function tellGrub(system: HostSystem): Promise<void> {
  await system.run(updateGrub, [], { timeoutMs: 300_000 });
}

async function hasGrub(system: HostSystem): Promise<boolean> {
  const there = await Promise.all([grubFolder, grubConfiguration, updateGrub].map((path) => system.exists(path)));
  return there.every(Boolean);
}

/** One for all disks is all that the command line can say. */
async function elevatorOf(system: HostSystem, settings: readonly TunedSetting[]): Promise<string | undefined> {
  const disks = settings.filter(({ place }) => place.lasts === 'udev');
  const names = new Set(disks.map(({ value }) => value));
  const isOld = disks.length > 0 && disks.every(({ place }) => isSingleQueue(place.offered ?? []));
  const udevFolder = lastingFiles.udev.slice(0, lastingFiles.udev.lastIndexOf('/'));
  if (!isOld || names.size !== 1 || (await system.exists(udevFolder))) return undefined;
  return `elevator=${[...names][0]}`;
}
