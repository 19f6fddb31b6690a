// How repairs are made to last: settings of the kernel as they are now, together with the file that makes them anew when the
// host starts. Pure. The names of files sort before those of tuning, which has the last word.
import type { WantedSetting } from '@virga/contract/agent/host-changes';

/** @param key such as `vm/swappiness` */
export function sysctlRepair(check: string, key: string, value: string, why: string): WantedSetting[] {
  const name = key.replaceAll('/', '.');
  return [
    { setting: { kind: 'value', path: `/proc/sys/${key}`, value }, why },
    {
      setting: { kind: 'file', path: `/etc/sysctl.d/80-virga-${check}.conf`, content: `${name} = ${value}\n` },
      why: 'So that it holds after the host has started anew.',
    },
  ];
}

/** Files of sysfs, which systemd-tmpfiles writes when the host starts. */
export function sysfsRepair(
  check: string,
  values: readonly (readonly [path: string, value: string])[],
  why: string,
): WantedSetting[] {
  const lines = values.map(([path, value]) => `w ${path} - - - - ${value}\n`).join('');
  return [
    ...values.map(([path, value]): WantedSetting => ({ setting: { kind: 'value', path, value }, why })),
    {
      setting: { kind: 'file', path: `/etc/tmpfiles.d/virga-${check}.conf`, content: lines },
      why: 'So that it holds after the host has started anew.',
    },
  ];
}

export function moduleOptionRepair(check: string, module: string, option: string, why: string): WantedSetting[] {
  const content = `options ${module} ${option}\n`;
  return [{ setting: { kind: 'file', path: `/etc/modprobe.d/virga-${check}.conf`, content }, why }];
}
