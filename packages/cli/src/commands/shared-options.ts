// Options that several commands have, so that they read the same everywhere.
import type { FlagOption, IntegerOption, TextOption } from '../command.ts';

export const waitOption = {
  type: 'flag',
  summary: 'wait until it is done, showing progress',
} as const satisfies FlagOption;

export const waitForGuestOption = {
  type: 'text',
  value: 'UNTIL',
  choices: ['running', 'ssh'],
  whenBare: 'running',
  summary: 'wait until it runs, showing progress; --wait=ssh waits until its SSH server answers',
} as const satisfies TextOption;

export const yesOption = { type: 'flag', summary: 'do not ask before deleting' } as const satisfies FlagOption;

export const visibilityOption = {
  type: 'text',
  value: 'WHO',
  choices: ['private', 'public'],
  summary: 'the project only, or every project',
} as const satisfies TextOption;

export const tailOption = {
  type: 'integer',
  value: 'BYTES',
  summary: 'how much of its end',
  minimum: 1,
  maximum: 4_194_304,
  default: 65_536,
} as const satisfies IntegerOption;
