// Address translation of guests by the processor itself (EPT, NPT) against tables that KVM keeps for it. The module of KVM is
// loaded anew for it, so nothing else may run, and it is as before when it ends.
import { NotPossible } from '../../../host-bench/comparison.ts';
import { benchPrefix } from '../bench-names.ts';
import { nestedPagingModule, setNestedPaging } from '../nested-paging-module.ts';
import type { Comparison } from './comparison.ts';
import { measureFreshGuest, memoryConditions, memoryMetrics } from './memory-guest.ts';

const withoutIt = 'without nested paging';

export const nestedPaging: Comparison = {
  title: 'nested paging',
  async prepare(world) {
    const { system, hypervisor, storage } = world.context;
    if (world.acceleration === 'tcg') {
      throw new NotPossible('guests are emulated on this host: no processor translates addresses for them');
    }
    const { name } = await nestedPagingModule(system);
    const running = await hypervisor.ask('list the domains', ({ domains }) => domains.list({ active: true }));
    if (running.some((domain) => !domain.name.startsWith(benchPrefix(storage)))) {
      throw new NotPossible(`other guests run, and ${name} cannot be loaded anew under them`);
    }
    return {
      settings: [withoutIt, 'nested paging'],
      metrics: memoryMetrics,
      conditions: [...memoryConditions, `${name} is loaded anew before each measurement.`],
      async measure(setting) {
        await setNestedPaging(system, world.folder, setting !== withoutIt);
        return measureFreshGuest(world);
      },
    };
  },
};
