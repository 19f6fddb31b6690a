// What knobs have to do with each other and with the host: rules that take a wish back, or refuse it, before anything is
// changed. Each says why.
import type { HostSystem } from '../host-system/host-system.ts';
import type { Place } from './places.ts';
import { refused } from './tuned-settings.ts';
import type { Wish, Wishes } from './wishes.ts';

type Ruled = { wishes: Wishes; notes: string[] };
export type Before = (path: string) => string | undefined;

const kernelsOwnPages = '100';
/** Makes sense only where there is more than one node. */
const ofNodes = ['ksmAcrossNodes', 'sysctl.kernel.numa_balancing', 'sysctl.vm.zone_reclaim_mode'];

/** Profiles raise these and never lower them. */
const limits = [
  'sysctl.fs.aio-max-nr',
  ...[1, 2, 3].map((number) => `sysctl.net.ipv4.neigh.default.gc_thresh${number}`),
];

/** @param before what was at a place before tuning changed it, where it did */
export async function ruledWishes(
  system: HostSystem,
  places: readonly Place[],
  wanted: Wishes,
  before: Before,
): Promise<Ruled> {
  const wishes = new Map(wanted);
  const notes: string[] = [];
  const leaveOut = (knob: string, reason: string, action: string) => {
    const wish = wishes.get(knob);
    if (wish === undefined) return;
    if (wish.by === 'override') throw refused(knob, `${knob} cannot be set: ${reason}.`, action);
    wishes.delete(knob);
    notes.push(`${knob} is left out: ${reason}.`);
  };
  const found = (knob: string): Place | undefined => places.find((place) => place.knob === knob);

  if ((await system.list('/sys/devices/system/node')).filter((name) => /^node\d+$/.test(name)).length < 2) {
    for (const knob of ofNodes) if (wishes.get(knob)?.by === 'profile') wishes.delete(knob);
  }
  for (const knob of limits) {
    const place = found(knob);
    if (place === undefined || wishes.get(knob)?.by !== 'profile') continue;
    if (Number(before(place.path) ?? place.now) >= Number(wishes.get(knob)!.values[0])) wishes.delete(knob);
  }
  adviseKsm(wishes, found, before, leaveOut);
  for (const which of ['dirty', 'dirty_background']) {
    const bytes = (await system.read(`/proc/sys/vm/${which}_bytes`))?.trim() ?? '0';
    if (bytes !== '0')
      leaveOut(
        `sysctl.vm.${which}_ratio`,
        `the host limits it in bytes already (vm.${which}_bytes), which could not be brought back`,
        'Set that to 0 first.',
      );
  }
  return { wishes, notes };
}

/**
 * Where the kernel's advisor runs, the pages of a round are its own, and are 100 again when it ends. So one of the two is set
 * and never both; and the advisor only where that 100 is what was there.
 */
function adviseKsm(
  wishes: Map<string, Wish>,
  found: (knob: string) => Place | undefined,
  before: Before,
  leaveOut: (knob: string, reason: string, action: string) => void,
): void {
  const [advisor, pages] = [found('ksmAdvisor'), found('ksmPages')];
  if (advisor === undefined || pages === undefined) return;
  const [advises, sets] = [wishes.get('ksmAdvisor'), wishes.get('ksmPages')];
  const wasAdvised = (before(advisor.path) ?? advisor.now) === 'scan-time';
  if (advises?.values[0] === 'scan-time' && (sets?.by !== 'override' || advises.by === 'override')) {
    const pagesBefore = before(pages.path) ?? (advisor.now === 'scan-time' ? kernelsOwnPages : pages.now);
    if (!wasAdvised && pagesBefore !== kernelsOwnPages) {
      const reason = `the host looks at ${pagesBefore} pages a round, which could not be brought back`;
      leaveOut('ksmAdvisor', reason, 'Set /sys/kernel/mm/ksm/pages_to_scan to 100 first.');
      return;
    }
    if (sets?.by === 'override') leaveOut('ksmPages', 'the advisor of the kernel sets it', 'Leave one of the two out.');
    wishes.delete('ksmPages');
    return;
  }
  if (sets === undefined) return;
  if (wasAdvised) {
    const action = 'Set /sys/kernel/mm/ksm/advisor_mode to none first.';
    leaveOut('ksmPages', 'the advisor of the kernel sets it', action);
    return;
  }
  // An advisor of an earlier profile ends: the place goes back to what it was before.
  if (advises?.by === 'profile') wishes.delete('ksmAdvisor');
}
