// Verbs that let a guest stand still, go on, hibernate, and the reset button. Starting and stopping are in instances.ts.
import { route } from '../route.ts';
import { act } from './instances.ts';

export const instancePowerRoutes = {
  suspendInstance: route(act('suspend', 'Let the guest stand still; its memory stays on the host')),
  resumeInstance: route(act('resume', 'Let a guest that stands still go on')),
  hibernateInstance: route(
    act('hibernate', 'Save the memory of the guest to disk and free its room on the host; a start goes on from there'),
  ),
  resetInstance: route(act('reset', 'Press the reset button: the guest is not asked')),
};
