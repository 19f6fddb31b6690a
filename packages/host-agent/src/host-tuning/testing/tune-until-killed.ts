// Tunes the host whose files lie in a folder, and is killed by itself, with SIGKILL, before a step. Run by tests.
// usage: tune-until-killed.ts FOLDER RECORD STEP DESIRED…   the tunings in turn, each JSON
import type { DesiredTuning } from '@virga/contract/agent/host-tuning';
import { HostChanges } from '../../host-changes/host-changes.ts';
import { hostSystemAt } from '../../host-system/host-system.ts';
import { runCommand } from '../../run-command.ts';
import { HostTuner } from '../host-tuner.ts';

const [folder, recordPath, step, ...tunings] = process.argv.slice(2) as [string, string, string, ...string[]];
const system = hostSystemAt(folder, runCommand);
let steps = 0;
const hook = () => {
  steps += 1;
  if (steps === Number(step)) process.kill(process.pid, 'SIGKILL');
};
const tuner = new HostTuner({ system, changes: new HostChanges({ system, recordPath, hook }) });
for (const tuning of tunings) await tuner.applyTuning(JSON.parse(tuning) as DesiredTuning | null);
