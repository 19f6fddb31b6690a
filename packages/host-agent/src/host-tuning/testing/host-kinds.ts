// Files of several kinds of host as their kernels show them, as far as tuning looks at them.
type Tree = Record<string, string>;

const ksm = '/sys/kernel/mm/ksm';
const thp = '/sys/kernel/mm/transparent_hugepage';

const memory = (totalGib: number): Tree => ({
  '/proc/meminfo': `MemTotal:       ${totalGib * 1024 * 1024} kB\nMemAvailable:   ${(totalGib - 2) * 1024 * 1024} kB\n`,
  [`${ksm}/run`]: '0\n',
  [`${ksm}/pages_to_scan`]: '100\n',
  [`${ksm}/sleep_millisecs`]: '20\n',
  [`${ksm}/merge_across_nodes`]: '1\n',
  [`${ksm}/pages_shared`]: '0\n',
  [`${thp}/enabled`]: 'always [madvise] never\n',
  [`${thp}/defrag`]: 'always defer defer+madvise [madvise] never\n',
  [`${thp}/khugepaged/pages_to_scan`]: '4096\n',
  [`${thp}/khugepaged/scan_sleep_millisecs`]: '10000\n',
});

const sysctls = (values: Record<string, number>): Tree =>
  Object.fromEntries(
    Object.entries(values).map(([name, value]) => [`/proc/sys/${name.replaceAll('.', '/')}`, `${value}\n`]),
  );

const usualSysctls = sysctls({
  'fs.aio-max-nr': 65_536,
  'kernel.nmi_watchdog': 1,
  'kernel.numa_balancing': 1,
  'net.ipv4.neigh.default.gc_thresh1': 128,
  'net.ipv4.neigh.default.gc_thresh2': 512,
  'net.ipv4.neigh.default.gc_thresh3': 1024,
  'vm.compaction_proactiveness': 20,
  'vm.dirty_background_bytes': 0,
  'vm.dirty_background_ratio': 10,
  'vm.dirty_bytes': 0,
  'vm.dirty_ratio': 20,
  'vm.stat_interval': 1,
  'vm.swappiness': 60,
  'vm.zone_reclaim_mode': 0,
  'vm.compact_memory': 0,
});

const nodes = (count: number, sizesKib: number[] = [2048, 1_048_576]): Tree =>
  Object.fromEntries(
    Array.from({ length: count }, (_, node) => `/sys/devices/system/node/node${node}`).flatMap((folder) => [
      [`${folder}/meminfo`, 'Node 0 MemTotal: 1048576 kB\n'],
      ...sizesKib.map((sizeKib) => [`${folder}/hugepages/hugepages-${sizeKib}kB/nr_hugepages`, '0\n']),
    ]),
  );

const hugePageSizes: Tree = {
  '/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages': '0\n',
  '/sys/kernel/mm/hugepages/hugepages-1048576kB/nr_hugepages': '0\n',
};

const disk = (name: string, scheduler: string, rotational: 0 | 1, files: Tree = {}): Tree => ({
  [`/sys/block/${name}/size`]: '1875385008\n',
  [`/sys/block/${name}/queue/rotational`]: `${rotational}\n`,
  [`/sys/block/${name}/queue/scheduler`]: `${scheduler}\n`,
  ...Object.fromEntries(
    Object.entries(files).map(([file, text]) => [`/sys/block/${name}/device/${file}`, `${text}\n`]),
  ),
});

const governors = (driver: string, offered: string, now: string, cpus: number): Tree =>
  Object.fromEntries(
    Array.from({ length: cpus }, (_, cpu) => `/sys/devices/system/cpu/cpufreq/policy${cpu}`).flatMap((folder) => [
      [`${folder}/scaling_driver`, `${driver}\n`],
      [`${folder}/scaling_available_governors`, `${offered}\n`],
      [`${folder}/scaling_governor`, `${now}\n`],
    ]),
  );

const systemd: Tree = { '/etc/sysctl.d/README.sysctl': '', '/etc/tmpfiles.d/': '', '/etc/udev/rules.d/': '' };

const grub: Tree = {
  '/etc/default/grub.d/init-select.cfg': '',
  '/boot/grub/grub.cfg': 'linux /vmlinuz root=/dev/sda1 ro quiet\n',
  '/usr/sbin/update-grub': '',
};

export const hostKinds = {
  /** Intel with two nodes, NVMe and SATA SSDs, kernel 6.12 of Debian 13, whose bfq is a module. */
  intelNvme: {
    ...memory(256),
    ...usualSysctls,
    ...nodes(2),
    ...hugePageSizes,
    [`${ksm}/advisor_mode`]: '[none] scan-time\n',
    '/proc/sys/kernel/osrelease': '6.12.48-amd64\n',
    '/proc/cmdline': 'root=/dev/nvme0n1p2 ro quiet\n',
    '/lib/modules/6.12.48-amd64/modules.dep': 'kernel/block/bfq.ko.xz:\nkernel/block/kyber-iosched.ko.xz:\n',
    ...disk('nvme0n1', '[none] mq-deadline', 0, { model: 'SAMSUNG MZQL23T8HCLS-00A07' }),
    ...disk('nvme1n1', '[none] mq-deadline', 0, { model: 'SAMSUNG MZQL23T8HCLS-00A07' }),
    ...disk('sda', 'none [mq-deadline]', 0, { vendor: 'ATA', model: 'INTEL SSDSC2KB48' }),
    ...governors('intel_pstate', 'performance powersave', 'powersave', 2),
    ...systemd,
    ...grub,
  },
  /** AMD with disks behind a RAID controller, kernel 6.1 of Debian 12. */
  amdRaid: {
    ...memory(128),
    ...usualSysctls,
    ...nodes(1),
    ...hugePageSizes,
    '/proc/sys/kernel/osrelease': '6.1.0-40-amd64\n',
    '/proc/cmdline': 'root=/dev/sda1 ro quiet\n',
    '/lib/modules/6.1.0-40-amd64/modules.dep': 'kernel/block/bfq.ko:\n',
    ...disk('sda', '[mq-deadline] none', 1, { vendor: 'AVAGO', model: 'MR9361-8i' }),
    ...disk('sdb', '[mq-deadline] none', 1, { vendor: 'AVAGO', model: 'MR9361-8i' }),
    ...governors('acpi-cpufreq', 'conservative ondemand userspace powersave performance schedutil', 'schedutil', 2),
    ...systemd,
    ...grub,
  },
  /** A kernel before 5.0 whose disks have one queue, without a udev that rules could be given to. */
  oldKernel: {
    ...memory(64),
    ...sysctls({ 'vm.swappiness': 60, 'vm.dirty_ratio': 20, 'vm.dirty_background_ratio': 10, 'fs.aio-max-nr': 65_536 }),
    '/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages': '0\n',
    [`${thp}/defrag`]: '[always] madvise never\n',
    '/proc/sys/kernel/osrelease': '4.9.0-19-amd64\n',
    '/proc/cmdline': 'root=/dev/sda1 ro quiet\n',
    ...disk('sda', 'noop deadline [cfq]', 1, { vendor: 'ATA', model: 'ST4000NM0035' }),
    ...disk('sdb', 'noop deadline [cfq]', 1, { vendor: 'ATA', model: 'ST4000NM0035' }),
    '/etc/sysctl.d/README.sysctl': '',
    ...grub,
  },
  /** A virtual machine of a cloud, without systemd: no folder for files but that of sysctl. */
  virtualMachine: {
    ...memory(24),
    ...usualSysctls,
    ...nodes(1),
    [`${ksm}/advisor_mode`]: '[none] scan-time\n',
    '/proc/sys/kernel/osrelease': '6.18.44\n',
    '/proc/cmdline': 'console=ttyS0 nomodule\n',
    ...disk('vda', 'none [mq-deadline] kyber bfq', 1),
    '/etc/sysctl.d/README.sysctl': '',
  },
} satisfies Record<string, Tree>;

export type HostKind = keyof typeof hostKinds;
