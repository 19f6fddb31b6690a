// The files of a simulated host that tuning reads and sets: those of a server with an NVMe disk and two SSDs. Only what was
// changed is kept with the host. What is in sysfs and procfs is as before after a restart, as on a host without systemd.
import type { FileTable } from '../host-system/memory-system.ts';
import type { StoredFile } from './host-records.ts';
import type { Table } from './host-store.ts';
import type { SimulatedHardware } from './simulated-hardware.ts';

export function simulatedFiles(changed: Table<StoredFile>, hardware: SimulatedHardware): FileTable {
  // There may be thousands of hosts, and few are ever tuned.
  let made: Record<string, string> | undefined;
  const first = () => {
    made ??= filesOf(hardware);
    return made;
  };
  return {
    get: (path) => {
      const stored = changed.get(path);
      return stored === undefined ? first()[path] : (stored.content ?? undefined);
    },
    set: (path, content) => changed.set(path, { content }),
    delete: (path) => {
      if (path in first()) changed.set(path, { content: null });
      else changed.delete(path);
    },
    paths: () => {
      const all = new Set([...Object.keys(first()), ...[...changed.entries()].map(([path]) => path)]);
      return [...all].filter((path) => changed.get(path)?.content !== null);
    },
  };
}

const ksm = '/sys/kernel/mm/ksm';
const thp = '/sys/kernel/mm/transparent_hugepage';

function filesOf({ memoryMib, numaNodes = 1 }: SimulatedHardware): Record<string, string> {
  const nodes = Array.from({ length: numaNodes }, (_, node) => `/sys/devices/system/node/node${node}`);
  const disk = (name: string, queue: string) => ({
    [`/sys/block/${name}/size`]: '3907029168\n',
    [`/sys/block/${name}/queue/rotational`]: '0\n',
    [`/sys/block/${name}/queue/scheduler`]: queue,
  });
  return {
    '/proc/meminfo': `MemTotal: ${memoryMib * 1024} kB\nMemAvailable: ${memoryMib * 1024} kB\n`,
    [`${ksm}/run`]: '0\n',
    [`${ksm}/pages_to_scan`]: '100\n',
    [`${ksm}/sleep_millisecs`]: '20\n',
    [`${ksm}/merge_across_nodes`]: '1\n',
    [`${thp}/enabled`]: 'always [madvise] never\n',
    [`${thp}/defrag`]: 'always defer defer+madvise [madvise] never\n',
    [`${thp}/khugepaged/pages_to_scan`]: '4096\n',
    [`${thp}/khugepaged/scan_sleep_millisecs`]: '10000\n',
    '/proc/sys/vm/swappiness': '60\n',
    '/proc/sys/vm/dirty_ratio': '20\n',
    '/proc/sys/vm/dirty_background_ratio': '10\n',
    '/proc/sys/kernel/numa_balancing': '0\n',
    '/proc/sys/fs/aio-max-nr': '65536\n',
    ...disk('nvme0n1', '[none] mq-deadline\n'),
    ...disk('sda', 'none [mq-deadline] bfq\n'),
    ...disk('sdb', 'none [mq-deadline] bfq\n'),
    ...Object.fromEntries(
      nodes.flatMap((node) =>
        [2048, 1_048_576].map((sizeKib) => [`${node}/hugepages/hugepages-${sizeKib}kB/nr_hugepages`, '0\n']),
      ),
    ),
    '/etc/sysctl.d/': '',
    '/etc/tmpfiles.d/': '',
    '/etc/udev/rules.d/': '',
  };
}
