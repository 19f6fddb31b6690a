// Where this host has the knobs: one place for each, or several, such as one for each disk. Reads anew each time. A knob
// that the kernel or the hardware does not have has no place.
import type { BlockDevice } from '@virga/contract/agent/block-devices';
import { tunableSysctls } from '@virga/contract/agent/host-tuning';
import { blockDevices } from '../block-devices/block-devices.ts';
import type { HostSystem } from '../host-system/host-system.ts';
import { hostTopology } from '../host-topology/host-topology.ts';

export type Place = {
  /** The knob with what it is of here, such as ioScheduler.sda. */
  knob: string;
  /** Knobs that it can be set by, the one that goes first in front. */
  askedBy: string[];
  path: string;
  now: string;
  /** The values that the kernel offers, where it says so; those whose module it would load included. */
  offered?: string[];
  /** Those that no profile chooses here. */
  unwise?: string[];
  /** What sets it anew when the host starts. */
  lasts: 'sysctl' | 'tmpfiles' | 'udev';
  /** Of huge pages: which part of what is asked for the whole host is due here. */
  share?: { index: number; of: number };
  device?: BlockDevice;
};

const ksm = '/sys/kernel/mm/ksm';
const thp = '/sys/kernel/mm/transparent_hugepage';

/** In the order in which they are set: nodes can only be told apart before anything is merged. */
const single: Record<string, { path: string; lasts: 'sysctl' | 'tmpfiles' }> = {
  ksmAcrossNodes: { path: `${ksm}/merge_across_nodes`, lasts: 'tmpfiles' },
  ksmAdvisor: { path: `${ksm}/advisor_mode`, lasts: 'tmpfiles' },
  ksmPages: { path: `${ksm}/pages_to_scan`, lasts: 'tmpfiles' },
  ksmSleepMs: { path: `${ksm}/sleep_millisecs`, lasts: 'tmpfiles' },
  ksm: { path: `${ksm}/run`, lasts: 'tmpfiles' },
  thp: { path: `${thp}/enabled`, lasts: 'tmpfiles' },
  thpDefrag: { path: `${thp}/defrag`, lasts: 'tmpfiles' },
  khugepagedPages: { path: `${thp}/khugepaged/pages_to_scan`, lasts: 'tmpfiles' },
  khugepagedSleepMs: { path: `${thp}/khugepaged/scan_sleep_millisecs`, lasts: 'tmpfiles' },
  swappiness: { path: '/proc/sys/vm/swappiness', lasts: 'sysctl' },
  ...Object.fromEntries(
    tunableSysctls.map((name) => [
      `sysctl.${name}`,
      { path: `/proc/sys/${name.replaceAll('.', '/')}`, lasts: 'sysctl' as const },
    ]),
  ),
};

export async function knobPlaces(system: HostSystem): Promise<Place[]> {
  const plain = Object.entries(single).map(async ([knob, { path, lasts }]) =>
    placeAt(system, { knob, askedBy: [knob], path, lasts }),
  );
  const found = await Promise.all([...plain, hugePages(system), governors(system), schedulers(system)]);
  return found.flat();
}

export const hugePageKnobs = { hugePages2Mib: 2048, hugePages1Gib: 1_048_576 } as const;

async function hugePages(system: HostSystem): Promise<Place[]> {
  const { numaNodes } = await hostTopology(system);
  const places = Object.entries(hugePageKnobs).map(async ([knob, sizeKib]) => {
    const folders = numaNodes.map(({ id }) => ({
      id,
      path: `/sys/devices/system/node/node${id}/hugepages/hugepages-${sizeKib}kB/nr_hugepages`,
    }));
    const found = await Promise.all(
      folders.map(({ id, path }, index) =>
        placeAt(system, {
          knob: `${knob}.${id}`,
          askedBy: [`${knob}.${id}`, knob],
          path,
          lasts: 'tmpfiles',
          share: { index, of: folders.length },
        }),
      ),
    );
    if (found.flat().length > 0) return found.flat();
    // A kernel without NUMA.
    const path = `/sys/kernel/mm/hugepages/hugepages-${sizeKib}kB/nr_hugepages`;
    return placeAt(system, { knob, askedBy: [knob, `${knob}.0`], path, lasts: 'tmpfiles', share: { index: 0, of: 1 } });
  });
  return (await Promise.all(places)).flat();
}

const cpufreq = '/sys/devices/system/cpu/cpufreq';

async function governors(system: HostSystem): Promise<Place[]> {
  const policies = (await system.list(cpufreq)).filter((name) => /^policy\d+$/.test(name));
  const places = policies.map(async (name) => {
    const offered = (await system.read(`${cpufreq}/${name}/scaling_available_governors`))?.trim().split(/\s+/);
    const driver = (await system.read(`${cpufreq}/${name}/scaling_driver`))?.trim() ?? '';
    // Those that choose the frequency themselves call it powersave; with any other driver it is the lowest frequency.
    const unwise = /^(intel_pstate|amd.pstate.epp)$/.test(driver) ? [] : ['powersave'];
    const knob = `cpuGovernor.${name}`;
    const path = `${cpufreq}/${name}/scaling_governor`;
    const place = await placeAt(system, { knob, askedBy: ['cpuGovernor'], path, lasts: 'tmpfiles' });
    return place.map((one) => ({ ...one, ...(offered && { offered }), unwise }));
  });
  return (await Promise.all(places)).flat();
}

async function schedulers(system: HostSystem): Promise<Place[]> {
  const [devices, loadable] = await Promise.all([blockDevices(system), loadableSchedulers(system)]);
  const places = devices.map(async (device) => {
    const path = `/sys/block/${device.name}/queue/scheduler`;
    const [place] = await placeAt(system, {
      knob: `ioScheduler.${device.name}`,
      askedBy: [`ioScheduler.${device.name}`, `ioScheduler.${device.class}`],
      path,
      lasts: 'udev',
      device,
    });
    // `none` without brackets: there is nothing to choose.
    if (place?.offered === undefined) return [];
    const offered = isSingleQueue(place.offered) ? place.offered : [...new Set([...place.offered, ...loadable])];
    return [{ ...place, offered }];
  });
  return (await Promise.all(places)).flat();
}

/** Kernels before 5.0 give some disks one queue, with schedulers of their own. */
export const isSingleQueue = (offered: readonly string[]): boolean =>
  ['noop', 'deadline', 'cfq'].some((name) => offered.includes(name));

/** Schedulers that the kernel loads when they are first chosen. */
async function loadableSchedulers(system: HostSystem): Promise<string[]> {
  const release = (await system.read('/proc/sys/kernel/osrelease'))?.trim();
  const modules = release === undefined ? undefined : await system.read(`/lib/modules/${release}/modules.dep`);
  const files = { 'mq-deadline': 'mq-deadline', bfq: 'bfq', kyber: 'kyber-iosched' };
  return Object.entries(files).flatMap(([name, file]) => (modules?.includes(`/${file}.ko`) ? [name] : []));
}

async function placeAt(system: HostSystem, place: Omit<Place, 'now' | 'offered'>): Promise<Place[]> {
  const text = await system.read(place.path);
  if (text === undefined) return [];
  const words = text.trim().split(/\s+/);
  const chosen = words.find((word) => word.startsWith('['))?.slice(1, -1);
  if (chosen === undefined) return [{ ...place, now: words.join(' ') }];
  return [{ ...place, now: chosen, offered: words.map((word) => word.replace(/^\[(.*)\]$/, '$1')) }];
}
