// The storage fills up at every step of every verb.
import { storageFull } from './faults.ts';
import { testEveryVerb } from './test-every-verb.ts';

testEveryVerb(storageFull);
