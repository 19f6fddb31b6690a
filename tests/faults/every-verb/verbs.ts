// Every verb of an instance and of a volume, in an order in which each finds much of what it needs as the one before it has
// left it.
import { deviceVerbs } from './device-verbs.ts';
import { machineVerbs } from './machine-verbs.ts';
import { powerVerbs } from './power-verbs.ts';
import type { VerbUnderFault } from './verb-under-fault.ts';
import { volumeVerbs } from './volume-verbs.ts';
import { wholeVerbs } from './whole-verbs.ts';

export const verbs: readonly VerbUnderFault[] = [
  ...powerVerbs,
  ...machineVerbs,
  ...deviceVerbs,
  ...volumeVerbs,
  ...wholeVerbs,
];
