// QEMU is killed at every step of every verb.
import { qemuKilled } from './faults.ts';
import { testEveryVerb } from './test-every-verb.ts';

testEveryVerb(qemuKilled);
