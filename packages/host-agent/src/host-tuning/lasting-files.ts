// The files that make tuning outlive a restart of the host without Virga: sysctl.d, tmpfiles.d and rules of udev, all made
// of the same settings. A host that has no such folder gets none: there the agent sets everything anew when it comes back.
import type { BlockDeviceClass } from '@virga/contract/agent/block-devices';
import type { WantedSetting } from '@virga/contract/agent/host-changes';
import type { HostSystem } from '../host-system/host-system.ts';
import type { Place } from './places.ts';
import { schedulerName, type TunedSetting } from './tuned-settings.ts';
import type { Wishes } from './wishes.ts';

export const lastingFiles = {
  sysctl: '/etc/sysctl.d/90-virga.conf',
  tmpfiles: '/etc/tmpfiles.d/virga.conf',
  udev: '/etc/udev/rules.d/90-virga-disks.rules',
} as const;

const heading =
  '# Made by virga hosts tune, which also takes it away: virga hosts tune --undo. Changes here are lost.\n';

/** How udev knows a disk of a class; virtual disks on SCSI are named one by one. */
const matches: Record<BlockDeviceClass, string> = {
  nvme: 'KERNEL=="nvme*n*"',
  ssd: 'KERNEL=="sd*|mmcblk*", ATTR{queue/rotational}=="0"',
  rotating: 'KERNEL=="sd*|hd*", ATTR{queue/rotational}=="1"',
  virtual: 'KERNEL=="vd*|xvd*"',
};
const classes = Object.keys(matches) as BlockDeviceClass[];

export async function filesOf(
  system: HostSystem,
  settings: readonly TunedSetting[],
  wishes: Wishes,
  places: readonly Place[],
): Promise<{ files: WantedSetting[]; notes: string[] }> {
  const of = (lasts: Place['lasts']) => settings.filter(({ place }) => place.lasts === lasts);
  const contents = {
    sysctl: of('sysctl').map(({ place, wish, value }) => `# ${wish.why}\n${sysctlName(place.path)} = ${value}\n`),
    tmpfiles: of('tmpfiles').map(({ place, wish, value }) => `# ${wish.why}\nw ${place.path} - - - - ${value}\n`),
    udev: rules(of('udev'), wishes, places),
  };
  const files: WantedSetting[] = [];
  const notes: string[] = [];
  for (const [kind, parts] of Object.entries(contents)) {
    const path = lastingFiles[kind as keyof typeof lastingFiles];
    const folder = path.slice(0, path.lastIndexOf('/'));
    if (parts.length === 0) continue;
    if (!(await system.exists(folder))) {
      notes.push(
        `The host has no ${folder}: Virga itself sets what would stand there anew after a restart of the host.`,
      );
      continue;
    }
    const content = heading + parts.join('');
    files.push({ setting: { kind: 'file', path, content }, why: 'So that it holds after a restart of the host.' });
  }
  return { files, notes };
}

const sysctlName = (path: string): string => path.slice('/proc/sys/'.length).replaceAll('/', '.');

/** By class, so that they also count for disks that come later; then by device, which goes before. */
function rules(settings: readonly TunedSetting[], wishes: Wishes, places: readonly Place[]): string[] {
  const byClass = classes.flatMap((name) => {
    const wish = wishes.get(`ioScheduler.${name}`);
    return wish ? [rule(matches[name], schedulerName(wish.values[0]!, places), wish.why)] : [];
  });
  const byDevice = settings.flatMap(({ place, wish, value }) => {
    const { name, class: ofClass } = place.device!;
    const byItsClass = wish.knob === `ioScheduler.${ofClass}` && isKnownByName(name, ofClass);
    const isSame = byItsClass && value === schedulerName(wish.values[0]!, places);
    return isSame ? [] : [rule(`KERNEL=="${name}"`, value, wish.why)];
  });
  return [...byClass, ...byDevice];
}

const isKnownByName = (name: string, ofClass: BlockDeviceClass): boolean =>
  /^(vd|xvd)/.test(name) === (ofClass === 'virtual');

const rule = (match: string, scheduler: string, why: string): string =>
  `# ${why}\nACTION=="add|change", SUBSYSTEM=="block", ENV{DEVTYPE}=="disk", ${match}, ATTR{queue/scheduler}="${scheduler}"\n`;
