// Tuning of the real host, as part of the libvirt agent. libvirt itself is not asked.
import type { HostTuning } from '@virga/contract/agent/host-tuning';
import { HostTuner } from '../../host-tuning/host-tuner.ts';
import type { AgentContext } from '../agent-context.ts';

export function hostTuning({ system, changes }: Pick<AgentContext, 'system' | 'changes'>): HostTuning {
  const tuner = new HostTuner({ system, changes });
  return {
    planTuning: (desired) => tuner.planTuning(desired),
    applyTuning: (desired) => tuner.applyTuning(desired),
    observedTuning: (inForce) => tuner.observedTuning(inForce),
    keepTuning: (inForce) => tuner.keepTuning(inForce),
  };
}
