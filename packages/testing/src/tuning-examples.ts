// Tuning of a host as the contract has it, to be changed as a test wants.
import type { TuningPlan } from '@virga/contract/agent/host-tuning';
import type { TunedHost } from '@virga/contract/rest/host-tuning';

export const aTunedHost = (fields: Partial<TunedHost> = {}): TunedHost => ({
  id: 'host-00000000000000001',
  name: 'alpha',
  generation: 1,
  desired: { profile: 'balanced', overrides: { swappiness: 20 } },
  inForce: { profile: 'balanced', overrides: { swappiness: 20 } },
  state: 'applied',
  stateReason: null,
  appliedAt: '2026-03-01T13:00:00.000Z',
  ...fields,
});

/** Of a host whose scheduler somebody else has changed. */
export const aTuningPlan = (fields: Partial<TuningPlan> = {}): TuningPlan => {
  const path = '/sys/block/vda/queue/scheduler';
  const why = 'The hypervisor below orders requests again.';
  return {
    settings: [
      { knob: 'ksmPages', path: '/sys/kernel/mm/ksm/pages_to_scan', now: '100', wanted: null, by: null, why: '' },
      { knob: 'ioScheduler.vda', path, now: 'bfq', wanted: 'none', by: 'profile', why },
    ],
    changes: [{ kind: 'value', path, now: 'bfq', after: 'none', why }],
    notes: ['cpuGovernor is left out: the host does not have it.'],
    atNextBoot: [],
    ...fields,
  };
};
