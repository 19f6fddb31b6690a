// Turns option objects into libvirt's flag words. Owns no flags: each call declares its table beside itself.

type FlagTable = Readonly<Record<string, number>>;
/** The options that a table of flags gives. */
export type Flags<T extends FlagTable> = { -readonly [K in keyof T]?: boolean | undefined };

/** The sum of the flags whose option is true. */
export function flagBits<T extends FlagTable>(table: T, options: Flags<T> | undefined): number {
  if (options === undefined) return 0;
  let bits = 0;
  for (const name in table) if (options[name]) bits |= table[name]!;
  return bits >>> 0;
}

/** The name at a number's place, or 'unknown' for a number of a newer libvirt. */
export function nameOf<N extends string>(names: readonly N[], number: number): N | 'unknown' {
  return names[number] ?? 'unknown';
}
