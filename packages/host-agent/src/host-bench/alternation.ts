// The order in which settings are measured, so that what changes on a host meanwhile (its load, its heat) touches all of
// them alike. Pure.

/** Forward in one round and backward in the next: of two settings A B, B A, A B, … */
export function orderOf<T>(settings: readonly T[], round: number): T[] {
  return round % 2 === 0 ? [...settings] : [...settings].reverse();
}
