// Every verb of an instance and of a volume that a host takes steps for, in an order in which each finds much of what it needs as
// the one before it has left it. Launches that begin as copies are in warm-images.test.ts. Not here: what only the database has
// (schedules, protection, drift policies), and what is done in one call and leaves nothing to go on with (consoles, screens, keys,
// NMI, the inside of guests).
import { cpuVerbs } from './cpu-verbs.ts';
import { deviceVerbs } from './device-verbs.ts';
import { diskDriverVerbs } from './disk-driver-verbs.ts';
import { machineVerbs } from './machine-verbs.ts';
import { powerVerbs } from './power-verbs.ts';
import { sizeVerbs } from './size-verbs.ts';
import type { VerbUnderFault } from './verb-under-fault.ts';
import { volumeVerbs } from './volume-verbs.ts';
import { wholeVerbs } from './whole-verbs.ts';

export const verbs: readonly VerbUnderFault[] = [
  ...powerVerbs,
  ...machineVerbs,
  ...cpuVerbs,
  ...sizeVerbs,
  ...deviceVerbs,
  ...diskDriverVerbs,
  ...volumeVerbs,
  ...wholeVerbs,
];
