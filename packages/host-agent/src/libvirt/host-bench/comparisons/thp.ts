// Transparent huge pages of the host: each way that it can be set to, with memory that the guest has from it anew.
import { NotPossible } from '../../../host-bench/comparison.ts';
import type { Comparison } from './comparison.ts';
import { choicesOf } from './kernel-choices.ts';
import { bootMemoryGuest, givenBack, measureMemory, memoryMetrics, reusedGuestConditions } from './memory-guest.ts';

const path = '/sys/kernel/mm/transparent_hugepage/enabled';

export const thp: Comparison = {
  title: 'transparent huge pages',
  async prepare(world) {
    const choices = choicesOf(await world.context.system.read(path));
    if (choices === undefined) throw new NotPossible('its kernel has no transparent huge pages');
    const guest = await bootMemoryGuest(world);
    const residentMib = await guest.residentMib();
    return {
      settings: [choices.chosen, ...choices.available.filter((choice) => choice !== choices.chosen)],
      metrics: memoryMetrics,
      conditions: [
        ...reusedGuestConditions,
        'QEMU asks for huge pages itself, so that madvise is for guests what always is.',
      ],
      async measure(setting) {
        await world.set([{ setting: { kind: 'value', path, value: setting }, why: 'a benchmark compares it' }]);
        const figures = await measureMemory(world, guest);
        await givenBack(world, guest, residentMib);
        return figures;
      },
    };
  },
};
