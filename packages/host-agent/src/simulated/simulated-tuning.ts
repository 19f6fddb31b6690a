// Tuning of a simulated host: the same work as on a real one, on files in memory. Tests change them as anybody on the host
// would.
import type { HostTuning } from '@virga/contract/agent/host-tuning';
import { HostChanges } from '../host-changes/host-changes.ts';
import { memorySystem } from '../host-system/memory-system.ts';
import { HostTuner } from '../host-tuning/host-tuner.ts';
import type { StepHook } from '../step-hook.ts';
import type { Calls } from './call-steps.ts';
import { simulatedFiles } from './simulated-files.ts';
import type { SimulatedHardware } from './simulated-hardware.ts';
import type { SimulatedHost } from './simulated-host.ts';

export type HostFileControls = {
  /** A file of the host, such as of sysfs. */
  hostFile(path: string): string | undefined;
  /** Somebody else writes it, or takes it away. */
  changeHostFile(path: string, content: string | null): void;
};

const recordPath = '/var/lib/virga/host-changes.json';

export function simulatedTuning(
  host: SimulatedHost,
  hardware: SimulatedHardware,
  calls: Calls,
  hook: StepHook | undefined,
): HostTuning & HostFileControls {
  const files = simulatedFiles(host.store.files, hardware);
  const system = memorySystem(files);
  const record = {
    name: recordPath,
    read: async () => files.get(recordPath),
    write: async (text: string) => files.set(recordPath, text),
  };
  const tuner = new HostTuner({ system, changes: new HostChanges({ system, recordPath: record, hook }) });
  return {
    planTuning: (desired, context) => calls.run('planTuning', 'host', context, () => tuner.planTuning(desired)),
    applyTuning: (desired, context) => calls.run('applyTuning', 'host', context, () => tuner.applyTuning(desired)),
    observedTuning: (inForce, context) =>
      calls.run('observedTuning', 'host', context, () => tuner.observedTuning(inForce)),
    keepTuning: (inForce, context) => calls.run('keepTuning', 'host', context, () => tuner.keepTuning(inForce)),
    hostFile: (path) => files.get(path),
    changeHostFile: (path, content) => (content === null ? files.delete(path) : files.set(path, content)),
  };
}
