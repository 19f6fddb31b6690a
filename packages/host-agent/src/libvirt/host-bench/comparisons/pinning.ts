// Work that lives in the caches of a CPU, while another guest keeps every CPU of the host busy: wherever the kernel puts it, on
// a CPU where the other may run too, and on a CPU that the other is kept away from.

import { NotPossible } from '../../../host-bench/comparison.ts';
import { walkedPerSecond } from '../../../host-bench/guest-output.ts';
import { hostTopology } from '../../../host-topology/host-topology.ts';
import type { Comparison } from './comparison.ts';

const memoryMib = 192;
/** More than a first-level cache, less than a second-level one of any server. */
const workingSetKib = 512;

export const pinning: Comparison = {
  title: 'CPU pinning under contention',
  async prepare(world) {
    const { cpus } = await hostTopology(world.context.system);
    const all = cpus.map(({ id }) => id);
    if (all.length < 2) throw new NotPossible('the host has one CPU');
    const own = all.at(-1)!;
    const rest = all.filter((id) => id !== own);
    const measured = await world.start({ vcpus: 1, memoryMib });
    const other = await world.start({ vcpus: all.length, memoryMib });
    await Promise.all([measured.booted(), other.booted()]);
    await other.run(
      `for cpu in ${all.join(' ')}; do memory-walk chase ${workingSetKib} 1000000 >/dev/null 2>&1 & done`,
    );
    return {
      settings: ['anywhere', 'pinned', 'a CPU of its own'],
      metrics: [{ name: 'cache-sensitive work', unit: 'M loads/s', better: 'higher' }],
      conditions: [
        `One vCPU follows pointers through ${workingSetKib} KiB, while another guest of ${all.length} vCPUs does the same without a pause.`,
        `“Pinned” is to host CPU ${own} while the other guest may run there too; with a CPU of its own the other is kept to ${rest.join(', ')}.`,
      ],
      async measure(setting) {
        await measured.pin(setting === 'anywhere' ? all : [own], setting === 'a CPU of its own' ? rest : all);
        await other.pin(...((setting === 'a CPU of its own' ? [rest, rest] : [all, all]) as [number[], number[]]));
        const output = await measured.run(`memory-walk chase ${workingSetKib} ${world.seconds}`, world.seconds * 1000);
        return [walkedPerSecond(output) / 1e6];
      },
    };
  },
};
