// libvirtd is killed at every step of every verb.
import { libvirtdKilled } from './faults.ts';
import { testEveryVerb } from './test-every-verb.ts';

testEveryVerb(libvirtdKilled);
