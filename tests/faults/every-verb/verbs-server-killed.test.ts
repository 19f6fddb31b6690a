// The server is killed at every step of every verb.

import { serverKilled } from './faults.ts';
import { testEveryVerb } from './test-every-verb.ts';

testEveryVerb(serverKilled);
