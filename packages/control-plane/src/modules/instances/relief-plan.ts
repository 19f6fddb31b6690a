// How much memory which guests of a host lend, pure: below the floor of the host, idle memory of its guests is asked for; with
// room to spare, it is given back. A guest keeps at least half of what it was promised, what its image needs, and a part of
// what it could use just now.
import type { GuestMemory } from '@virga/contract/agent/host-memory';

export type Lender = Pick<
  GuestMemory,
  'id' | 'promisedKib' | 'currentKib' | 'usableKib' | 'hasBalloon' | 'hugePagesKib'
> & {
  /** What its image needs at least. */
  leastKib: number;
};

export type Loan = { id: Lender['id']; memoryKib: number };

/** Of what a guest was promised. */
const keptShare = 0.5;
/** Of what it could use just now, so that it does not swap when it wakes up. */
const asideShare = 0.25;
/** Less is not worth a guest's trouble. */
const leastStepKib = 16 * 1024;
/** So far above the floor nothing more is asked for, and only beyond twice as far is anything given back. */
export const marginKib = (floorKib: number): number => Math.max(64 * 1024, Math.round(floorKib / 8));

/** @returns what changes: how much memory each of these guests is to have */
export function planRelief(
  { availableKib, floorKib }: { availableKib: number; floorKib: number },
  lenders: readonly Lender[],
): Loan[] {
  const margin = marginKib(floorKib);
  if (availableKib < floorKib) return ask(floorKib + margin - availableKib, lenders);
  const spareKib = availableKib - floorKib - 2 * margin;
  return spareKib >= leastStepKib ? giveBack(spareKib, lenders) : [];
}

/** Of the guests with the most idle memory first. */
function ask(neededKib: number, lenders: readonly Lender[]): Loan[] {
  const loans: Loan[] = [];
  let missing = neededKib;
  const idlest = lenders
    .map((lender) => ({ ...lender, idleKib: idleOf(lender) }))
    .filter(({ idleKib }) => idleKib >= leastStepKib)
    .sort((one, other) => other.idleKib - one.idleKib);
  for (const { id, currentKib, idleKib } of idlest) {
    if (missing <= 0) break;
    const takenKib = whole(Math.min(idleKib, Math.max(missing, leastStepKib)));
    loans.push({ id, memoryKib: currentKib - takenKib });
    missing -= takenKib;
  }
  return loans;
}

function idleOf({ promisedKib, currentKib, usableKib, leastKib, hasBalloon, hugePagesKib }: Lender): number {
  // Pages of a guest on huge pages go back to nobody, and what a guest does not tell is not taken.
  if (!hasBalloon || hugePagesKib > 0 || usableKib === null) return 0;
  const least = Math.max(promisedKib * keptShare, leastKib);
  return whole(Math.min(usableKib * (1 - asideShare), currentKib - least));
}

/** To the guest first that lends the largest part of what it was promised. */
function giveBack(spareKib: number, lenders: readonly Lender[]): Loan[] {
  const loans: Loan[] = [];
  let left = spareKib;
  const neediest = lenders
    .filter(({ promisedKib, currentKib, hasBalloon }) => hasBalloon && currentKib < promisedKib)
    .sort((one, other) => one.currentKib / one.promisedKib - other.currentKib / other.promisedKib);
  for (const { id, promisedKib, currentKib } of neediest) {
    const givenKib = Math.min(promisedKib - currentKib, whole(left));
    if (givenKib <= 0) break;
    loans.push({ id, memoryKib: currentKib + givenKib });
    left -= givenKib;
  }
  return loans;
}

const stepKib = 1024;
const whole = (kib: number): number => Math.max(0, Math.floor(kib / stepKib) * stepKib);
