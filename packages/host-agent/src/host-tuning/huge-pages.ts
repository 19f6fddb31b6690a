// Static huge pages: what may be asked for, and what it means when the kernel gives fewer. The kernel takes any number and
// gives what it finds, so what it gave is read back.
import { VirgaError } from '@virga/contract/errors';
import { SettingNotTaken } from '../host-changes/setting.ts';
import type { HostSystem } from '../host-system/host-system.ts';
import { kibOf } from '../host-system/kib-of.ts';
import { refused, type TunedSetting } from './tuned-settings.ts';
import { fieldOf } from './wishes.ts';

const place = /^\/sys\/(?:kernel\/mm|devices\/system\/node\/node(\d+))\/hugepages\/hugepages-(\d+)kB\/nr_hugepages$/;

const leastLeftKib = 512 * 1024;
const leftShare = 0.05;

/** Reserved memory is nobody else's: the host keeps some. @throws HostSettingRefused */
export async function requireMemory(system: HostSystem, settings: readonly TunedSetting[]): Promise<void> {
  const pages = settings.flatMap(({ place: { path, now }, wish, value }) => {
    const sizeKib = Number(place.exec(path)?.[2]);
    return Number.isNaN(sizeKib) ? [] : [{ wish, moreKib: (Number(value) - Number(now)) * sizeKib }];
  });
  const moreKib = pages.reduce((sum, page) => sum + page.moreKib, 0);
  if (moreKib <= 0) return;
  const meminfo = (await system.read('/proc/meminfo')) ?? '';
  const kib = (name: string): number => kibOf(meminfo, name) ?? 0;
  const roomKib = kib('MemAvailable') - Math.max(leastLeftKib, kib('MemTotal') * leftShare);
  if (moreKib <= roomKib) return;
  const mib = (value: number): number => Math.floor(Math.max(0, value) / 1024);
  throw refused(
    pages.find((page) => page.moreKib > 0)!.wish.knob,
    `These huge pages would take ${mib(moreKib)} MiB more, and the host can spare ${mib(roomKib)} MiB.`,
    'Ask for fewer, or stop guests first.',
  );
}

/** @returns whether the kernel could be asked to bring free memory together */
export async function compactMemory(system: HostSystem): Promise<boolean> {
  const compact = '/proc/sys/vm/compact_memory';
  if (!(await system.exists(compact))) return false;
  return system.writeValue(compact, '1').then(
    () => true,
    () => false,
  );
}

/** When it was huge pages that the kernel did not give, or not give back: what to say of it. */
export function pagesNotGiven(error: unknown): ((settings: readonly TunedSetting[]) => VirgaError) | undefined {
  if (!(error instanceof VirgaError) || !(error.cause instanceof SettingNotTaken)) return undefined;
  const { setting, instead } = error.cause;
  const [, node, sizeKib] = place.exec(setting.path) ?? [];
  if (sizeKib === undefined || setting.kind !== 'value' || instead === null) return undefined;
  const what = `huge pages of ${Number(sizeKib) < 1_048_576 ? `${Number(sizeKib) / 1024} MiB` : '1 GiB'}${node === undefined ? '' : ` on node ${node}`}`;
  const keptInUse = Number(instead) > Number(setting.value);
  return (settings) => {
    const knob = settings.find(({ place: { path } }) => path === setting.path)?.wish.knob;
    return new VirgaError('HostSettingRefused', {
      detail: keptInUse
        ? `The kernel of the host keeps ${instead} ${what} instead of ${setting.value}: guests use them.`
        : `The kernel of the host gave ${instead} of ${setting.value} ${what}: its free memory is too little or too fragmented.`,
      action: keptInUse
        ? 'Stop the guests that use them first.'
        : 'Ask for fewer, free memory, or have pages of 1 GiB reserved when the host starts (hugePages1GibAtBoot).',
      field: knob === undefined ? undefined : fieldOf(knob),
      cause: error,
    });
  };
}
