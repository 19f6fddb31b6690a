// Whether the running kernel has a module: loaded, built in, or on disk for it. Reads; owns nothing.
import type { Look } from './host-check.ts';

export type ModuleState = 'present' | 'loadable' | 'missing';

export async function moduleState(look: Look, name: string): Promise<ModuleState> {
  if (await look.exists(`/sys/module/${name}`)) return 'present';
  const release = (await look.system.read('/proc/sys/kernel/osrelease'))?.trim() ?? '';
  const pattern = new RegExp(`/${name.replace(/[_-]/g, '[_-]')}\\.ko`);
  const lineOf = (text: string) =>
    text
      .split('\n')
      .find((line) => pattern.test(line))
      ?.split(':')[0] ?? `no ${name}`;
  const mentions = async (file: string) =>
    pattern.test((await look.read(`/lib/modules/${release}/${file}`, lineOf)) ?? '');
  if (await mentions('modules.builtin')) return 'present';
  return (await mentions('modules.dep')) ? 'loadable' : 'missing';
}
