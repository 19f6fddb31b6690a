// Static huge pages of 2 MiB against ordinary memory, which may be of transparent ones. They are reserved for the time of it.
import { hugePageFeature } from '@virga/contract/agent/host-features';
import { NotPossible } from '../../../host-bench/comparison.ts';
import { hugePageFeatures } from '../../host/huge-pages.ts';
import type { Comparison } from './comparison.ts';
import { measureFreshGuest, memoryConditions, memoryGuestMib, memoryMetrics } from './memory-guest.ts';

const pageKib = 2048;
const folder = `/sys/kernel/mm/hugepages/hugepages-${pageKib}kB`;
const ordinary = 'ordinary pages';

export const hugePages: Comparison = {
  title: 'static huge pages',
  async prepare(world) {
    const { system } = world.context;
    const [reserved, free, promised = 0] = await Promise.all([
      numberIn(`${folder}/nr_hugepages`),
      numberIn(`${folder}/free_hugepages`),
      numberIn(`${folder}/resv_hugepages`),
    ]);
    if (reserved === undefined || free === undefined) throw new NotPossible('its kernel has no huge pages of 2 MiB');
    if (!(await hugePageFeatures(system)).includes(hugePageFeature(pageKib))) {
      throw new NotPossible('libvirtd has found no hugetlbfs of 2 MiB pages; one must be mounted before it starts');
    }
    // What a process has mapped and not touched yet counts as free.
    const missing = (memoryGuestMib * 1024) / pageKib - (free - promised);
    if (missing > 0) {
      const path = `${folder}/nr_hugepages`;
      const why = 'a benchmark has guests on huge pages';
      await world.set([{ setting: { kind: 'value', path, value: String(reserved + missing) }, why }]).catch((error) => {
        throw new NotPossible(`its memory is too fragmented for ${reserved + missing} huge pages (${error.message})`);
      });
    }
    return {
      settings: [ordinary, 'huge pages of 2 MiB'],
      metrics: memoryMetrics,
      conditions: memoryConditions,
      measure: (setting) => measureFreshGuest(world, setting === ordinary ? {} : { hugePageKib: pageKib }),
    };

    async function numberIn(path: string): Promise<number | undefined> {
      const text = await system.read(path);
      return text === undefined ? undefined : Number(text);
    }
  },
};
