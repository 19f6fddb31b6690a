// Names of keys, and the codes that Linux has for them. @see linux/input-event-codes.h
const rows = {
  16: 'q w e r t y u i o p leftbracket rightbracket enter ctrl a s d f g h j k l semicolon apostrophe grave shift backslash',
  44: 'z x c v b n m comma dot slash rightshift kpasterisk alt space capslock f1 f2 f3 f4 f5 f6 f7 f8 f9 f10 numlock scrolllock',
  1: 'esc 1 2 3 4 5 6 7 8 9 0 minus equal backspace tab',
  87: 'f11 f12',
  96: 'kpenter rightctrl kpslash sysrq rightalt',
  102: 'home up pageup left right end down pagedown insert delete',
  125: 'meta',
} as const;

/** Code of each name. */
export const keyCodes: ReadonlyMap<string, number> = new Map(
  Object.entries(rows).flatMap(([first, names]) =>
    names.split(' ').map((name, index): [string, number] => [name, Number(first) + index]),
  ),
);

/** Characters of a keyboard of the United States that need shift, and the key they are on. */
const shifted: Readonly<Record<string, string>> = {
  '!': '1',
  '@': '2',
  '#': '3',
  $: '4',
  '%': '5',
  '^': '6',
  '&': '7',
  '*': '8',
  '(': '9',
  ')': '0',
  _: 'minus',
  '+': 'equal',
  '{': 'leftbracket',
  '}': 'rightbracket',
  ':': 'semicolon',
  '"': 'apostrophe',
  '~': 'grave',
  '|': 'backslash',
  '<': 'comma',
  '>': 'dot',
  '?': 'slash',
};
const plain: Readonly<Record<string, string>> = {
  '-': 'minus',
  '=': 'equal',
  '[': 'leftbracket',
  ']': 'rightbracket',
  ';': 'semicolon',
  "'": 'apostrophe',
  '`': 'grave',
  '\\': 'backslash',
  ',': 'comma',
  '.': 'dot',
  '/': 'slash',
  ' ': 'space',
  '\n': 'enter',
  '\t': 'tab',
};

/** The chord that types a character on a keyboard of the United States; undefined when it has none. */
export function chordOf(character: string): string | undefined {
  if (/^[a-z0-9]$/.test(character)) return character;
  if (/^[A-Z]$/.test(character)) return `shift+${character.toLowerCase()}`;
  const key = plain[character];
  if (key !== undefined) return key;
  return shifted[character] === undefined ? undefined : `shift+${shifted[character]}`;
}

/** The codes of a chord such as ctrl+alt+delete; undefined when it names a key that there is not. */
export function codesOf(chord: string): number[] | undefined {
  const codes = chord.split('+').map((name) => keyCodes.get(name));
  return codes.every((code) => code !== undefined) ? codes : undefined;
}
