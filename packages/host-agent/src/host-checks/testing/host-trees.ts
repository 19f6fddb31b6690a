// Hosts of several real kinds, as far as checks look at them. Each is a server that is well, with what is different about it.
import { type HostTree, storagePath } from './host-tree.ts';

const cpu = '/sys/devices/system/cpu';
const ksm = '/sys/kernel/mm/ksm';
const clock = '/sys/devices/system/clocksource/clocksource0';
const release = '6.1.0-28-amd64';

const intelFlags = 'fpu vmx lm pdpe1gb ept vpid ept_ad';
const amdFlags = 'fpu svm lm npt avic flushbyasid';
const cpuinfo = (vendor: string, flags: string) => `processor\t: 0\nvendor_id\t: ${vendor}\nflags\t\t: ${flags}\n`;

const disk = (name: string, rotational: 0 | 1, scheduler: string) => ({
  [`/sys/block/${name}/size`]: '7814037168',
  [`/sys/block/${name}/queue/rotational`]: String(rotational),
  [`/sys/block/${name}/queue/scheduler`]: scheduler,
});

const node = (id: number, cpus: string, memoryMib: number, hugePages = 0, free = hugePages) => ({
  [`/sys/devices/system/node/node${id}/cpulist`]: cpus,
  [`/sys/devices/system/node/node${id}/meminfo`]: `Node ${id} MemTotal:       ${memoryMib * 1024} kB`,
  [`/sys/devices/system/node/node${id}/hugepages/hugepages-2048kB/nr_hugepages`]: String(hugePages),
  [`/sys/devices/system/node/node${id}/hugepages/hugepages-2048kB/free_hugepages`]: String(free),
});

const limits = (files: string, memory: string) =>
  `Limit                     Soft Limit           Hard Limit           Units\n` +
  `Max open files            ${files}                524288               files\n` +
  `Max locked memory         ${memory}            ${memory}            bytes\n`;

const cgroup2 = 'cgroup2 /sys/fs/cgroup cgroup2 rw,nosuid 0 0\n';
const hugetlbfs = 'hugetlbfs /dev/hugepages hugetlbfs rw 0 0\n';

/** A server with two Intel sockets of which one is filled, looked after well. */
export const intelServer: HostTree = {
  arch: 'x86_64',
  files: {
    '/proc/cpuinfo': cpuinfo('GenuineIntel', intelFlags),
    '/proc/cmdline': 'BOOT_IMAGE=/vmlinuz root=/dev/md0 quiet intel_iommu=on',
    '/proc/meminfo': 'MemTotal:       134217728 kB',
    '/proc/mounts': `proc /proc proc rw 0 0\n${cgroup2}`,
    '/proc/stat': 'cpu  100 0 100 9000 100 0 0 0 0 0\ncpu0 1 0 1 9 1 0 0 0 0 0',
    '/proc/loadavg': '0.10 0.12 0.09 1/300 4000',
    '/proc/swaps': 'Filename Type Size Used Priority\n/dev/md1 partition 8388604 0 -2',
    '/proc/interrupts': '           CPU0\n  0:  10  IO-APIC   2-edge  timer',
    '/proc/sys/kernel/osrelease': release,
    '/proc/sys/kernel/hostname': 'alpha',
    '/proc/sys/vm/swappiness': '10',
    '/proc/sys/vm/overcommit_memory': '0',
    '/proc/sys/fs/aio-max-nr': '1048576',
    '/proc/sys/fs/aio-nr': '4096',
    '/proc/900/comm': 'libvirtd',
    '/proc/900/limits': limits('8192', '67108864'),
    '/proc/901/comm': 'chronyd',
    '/etc/group': 'root:x:0:\nkvm:x:104:libvirt-qemu\n',
    '/dev/kvm': '',
    '/dev/net/tun': '',
    '/dev/vhost-net': '',
    '/run/udev/control': '',
    '/sys/fs/cgroup/cgroup.controllers': 'cpuset cpu io memory hugetlb pids',
    '/sys/module/apparmor/parameters/enabled': 'Y',
    '/sys/module/kvm_intel/initstate': 'live',
    '/sys/module/kvm_intel/parameters/ept': 'Y',
    '/sys/module/kvm_intel/parameters/vpid': 'Y',
    '/sys/module/kvm_intel/parameters/enable_apicv': 'Y',
    '/sys/module/kvm_intel/parameters/tdx': 'Y',
    [`/lib/modules/${release}/modules.builtin`]: 'kernel/fs/ext4.ko\n',
    [`/lib/modules/${release}/modules.dep`]:
      'kernel/net/openvswitch/openvswitch.ko: kernel/net/nsh/nsh.ko\nkernel/drivers/vhost/vhost_net.ko: kernel/drivers/vhost/vhost.ko\n',
    '/sys/kernel/iommu_groups/0/type': 'DMA',
    '/sys/kernel/iommu_groups/1/type': 'DMA',
    '/sys/kernel/mm/transparent_hugepage/enabled': 'always [madvise] never',
    [`${ksm}/run`]: '0',
    [`${ksm}/pages_sharing`]: '0',
    [`${ksm}/merge_across_nodes`]: '1',
    [`${clock}/current_clocksource`]: 'tsc',
    [`${clock}/available_clocksource`]: 'tsc hpet acpi_pm',
    [`${cpu}/online`]: '0-3',
    [`${cpu}/smt/active`]: '0',
    [`${cpu}/vulnerabilities/meltdown`]: 'Not affected',
    [`${cpu}/vulnerabilities/spectre_v2`]: 'Mitigation: Enhanced / Automatic IBRS',
    [`${cpu}/cpufreq/policy0/scaling_governor`]: 'performance',
    [`${cpu}/cpufreq/policy0/scaling_driver`]: 'intel_pstate',
    ...node(0, '0-3', 131_072),
    ...disk('sda', 0, '[mq-deadline] none'),
  },
  access: { '/dev/kvm': { uid: 0, gid: 104, mode: 0o660 } },
  programs: [
    [/^unshare --net ip link add .* type bridge$/, ''],
    [/^unshare --net ip tuntap add /, ''],
    [/^cp --reflink=always /, ''],
    [/^stat --file-system /, 'xfs\n'],
    [/^getent hosts /, '192.168.1.10    alpha\n'],
  ],
  acceleration: { mode: 'kvm', reason: '/boot/vmlinuz was booted under KVM.' },
  hypervisor: { qemu: '7.2.0', libvirt: '9.0.0', features: ['uefi', 'uefi-secure', 'tpm', 'emulated', 'legacy'] },
};

const emulates = (reason: string): HostTree['acceleration'] => ({ mode: 'tcg', reason });
const without = (pattern: RegExp) => intelServer.programs.filter(([{ source }]) => !pattern.test(source));

/** Virtualization is switched off in the firmware, as many are delivered. */
export const intelLocked: HostTree = {
  ...intelServer,
  files: {
    ...intelServer.files,
    '/proc/cpuinfo': cpuinfo('GenuineIntel', 'fpu lm pdpe1gb'),
    '/dev/kvm': null,
    '/sys/module/kvm_intel/initstate': null,
    '/sys/module/kvm_intel/parameters/ept': null,
    '/sys/module/kvm_intel/parameters/vpid': null,
    '/sys/module/kvm_intel/parameters/enable_apicv': null,
    '/sys/module/kvm_intel/parameters/tdx': null,
    '/sys/kernel/iommu_groups/0/type': null,
    '/sys/kernel/iommu_groups/1/type': null,
  },
  programs: [
    ...intelServer.programs,
    [/^dmesg$/, '[    0.5] smpboot: CPU0\n[    0.6] x86/cpu: VMX (outside TXT) disabled by BIOS\n[    0.7] PCI: on'],
  ],
  acceleration: emulates('There is no /dev/kvm: the processor or the firmware has virtualization switched off.'),
};

/** The same, where the register can be read. */
export const intelLockedRegister: HostTree = {
  ...intelLocked,
  programs: [...intelServer.programs, [/^rdmsr 0x3a$/, '1\n']],
};

/** An AMD server on which somebody tried to be clever, whose /dev/kvm another program has taken. */
export const amdServer: HostTree = {
  ...intelServer,
  files: {
    ...intelServer.files,
    '/proc/cpuinfo': cpuinfo('AuthenticAMD', amdFlags),
    '/proc/cmdline': 'BOOT_IMAGE=/vmlinuz quiet',
    '/proc/sys/vm/swappiness': '60',
    '/proc/sys/vm/overcommit_memory': '2',
    '/proc/sys/fs/aio-max-nr': '65536',
    '/proc/sys/fs/aio-nr': '60000',
    '/sys/module/kvm_intel/initstate': null,
    '/sys/module/kvm_intel/parameters/ept': null,
    '/sys/module/kvm_intel/parameters/vpid': null,
    '/sys/module/kvm_intel/parameters/enable_apicv': null,
    '/sys/module/kvm_intel/parameters/tdx': null,
    '/sys/module/kvm_amd/initstate': 'live',
    '/sys/module/kvm_amd/parameters/npt': '0',
    '/sys/module/kvm_amd/parameters/avic': 'N',
    '/sys/module/kvm_amd/parameters/sev': 'Y',
    '/sys/kernel/iommu_groups/0/type': null,
    '/sys/kernel/iommu_groups/1/type': null,
    '/sys/firmware/acpi/tables/IVRS': '',
    [`${cpu}/cpufreq/policy0/scaling_driver`]: 'acpi-cpufreq',
    [`${cpu}/cpufreq/policy0/scaling_governor`]: 'powersave',
    [`${cpu}/cpufreq/policy0/scaling_available_governors`]: 'performance powersave ondemand schedutil',
    [`${cpu}/cpufreq/policy1/scaling_governor`]: 'powersave',
  },
  access: { '/dev/kvm': { uid: 0, gid: 0, mode: 0o600 } },
};

/** A server with ARM processors and a kernel that was started at EL2. */
export const armServer: HostTree = {
  ...intelServer,
  arch: 'aarch64',
  files: {
    ...intelServer.files,
    '/proc/cpuinfo': 'processor\t: 0\nFeatures\t: fp asimd atomics\nCPU implementer\t: 0x41\n',
    '/proc/interrupts': '  9:  0  GICv3  25 Level  vgic\n',
    [`${clock}/current_clocksource`]: 'arch_sys_counter',
    [`${cpu}/smt/active`]: null,
    [`${cpu}/cpufreq/policy0/scaling_driver`]: 'cppc_cpufreq',
    '/sys/module/kvm_intel/parameters/tdx': null,
  },
};

/** A board with an old interrupt controller whose kernel was started at EL1. */
export const armBoard: HostTree = {
  ...armServer,
  files: {
    ...armServer.files,
    '/dev/kvm': null,
    '/proc/interrupts': '  9:  0  GICv2  25 Level  arch_timer\n',
    '/sys/kernel/iommu_groups/0/type': null,
    '/sys/kernel/iommu_groups/1/type': null,
    '/sys/fs/cgroup/cgroup.controllers': 'cpuset cpu io pids',
  },
  acceleration: emulates('There is no /dev/kvm.'),
};

/** Two nodes, one with less memory, huge pages that nobody can reach, and merging over nodes. */
export const numaServer: HostTree = {
  ...intelServer,
  files: {
    ...intelServer.files,
    ...node(0, '0-1', 65_536, 1024),
    ...node(1, '2-3', 32_768, 1024),
    [`${ksm}/run`]: '1',
    [`${ksm}/pages_sharing`]: '25600',
    '/sys/kernel/mm/transparent_hugepage/enabled': 'always madvise [never]',
    '/sys/module/kvm_intel/parameters/vpid': 'N',
    // Built into the kernel: it has no state of its own.
    '/sys/module/kvm_intel/initstate': null,
  },
};

/** A laptop with NVMe whose distribution has an eye on its desktop. */
export const nvmeLaptop: HostTree = {
  ...intelServer,
  files: {
    ...intelServer.files,
    '/proc/swaps': 'Filename Type Size Used Priority',
    '/proc/901/comm': 'systemd-timesyn',
    '/proc/900/limits': limits('1024', '65536'),
    '/dev/vhost-net': null,
    '/sys/block/sda/size': null,
    '/sys/block/sda/queue/rotational': null,
    '/sys/block/sda/queue/scheduler': null,
    ...disk('nvme0n1', 0, 'none mq-deadline [bfq]'),
    '/sys/block/nvme0n1/queue/write_cache': 'write back',
    [`${clock}/current_clocksource`]: 'hpet',
    [`${cpu}/smt/active`]: '1',
    [`${cpu}/vulnerabilities/mds`]: 'Mitigation: Clear CPU buffers; SMT vulnerable',
    [`${cpu}/vulnerabilities/spectre_v2`]: 'Mitigation: Enhanced IBRS; BHI: Vulnerable',
    [`${cpu}/cpufreq/policy0/scaling_governor`]: 'powersave',
  },
  programs: without(/getent/),
  freeBytes: 90 * 1024 ** 3,
  hypervisor: { ...intelServer.hypervisor, features: ['uefi', 'emulated', 'legacy'] },
};

/** A virtual machine with nested virtualization that is full, busy and keeps its storage in memory. */
export const nestedGuest: HostTree = {
  ...intelServer,
  files: {
    ...intelServer.files,
    '/proc/cpuinfo': cpuinfo('GenuineIntel', `${intelFlags} hypervisor`),
    '/proc/stat': 'cpu  9000 0 900 100 0 0 0 0 0 0',
    '/sys/kernel/iommu_groups/0/type': null,
    '/sys/kernel/iommu_groups/1/type': null,
    '/sys/module/kvm_intel/parameters/tdx': null,
    '/sys/module/kvm_intel/parameters/enable_apicv': 'N',
    '/sys/module/kvm_intel/parameters/vpid': 'N',
    '/sys/module/apparmor/parameters/enabled': 'N',
    [`/lib/modules/${release}/modules.dep`]: '',
    '/dev/vhost-net': null,
    '/dev/net/tun': null,
    [`${clock}/current_clocksource`]: 'kvm-clock',
    [`${cpu}/cpufreq/policy0/scaling_governor`]: null,
    [`${cpu}/cpufreq/policy0/scaling_driver`]: null,
    '/sys/block/sda/size': null,
    '/sys/block/sda/queue/rotational': null,
    '/sys/block/sda/queue/scheduler': null,
    ...disk('vda', 1, '[none] mq-deadline'),
  },
  programs: without(/type bridge|reflink/),
  directIo: false,
  freeBytes: 1024 ** 3,
};

/** An old server: a RAID controller with a battery, a disk beside it, trusted guests, and software of its day. */
export const raidServer: HostTree = {
  ...intelServer,
  files: {
    ...intelServer.files,
    '/proc/cmdline': 'root=/dev/sda1 mitigations=off',
    '/proc/mounts':
      'cgroup /sys/fs/cgroup/cpu cgroup rw,cpu,cpuacct 0 0\ncgroup /sys/fs/cgroup/cpuset cgroup rw,cpuset 0 0\n',
    '/proc/901/comm': 'cron',
    '/sys/fs/cgroup/cgroup.controllers': null,
    [`${cpu}/vulnerabilities/spectre_v2`]: 'Vulnerable',
    [`${clock}/current_clocksource`]: 'acpi_pm',
    [`${clock}/available_clocksource`]: 'acpi_pm',
    ...disk('sda', 1, 'mq-deadline [none]'),
    '/sys/block/sda/device/scsi_disk/0:2:0:0/cache_type': 'write through',
    '/sys/class/scsi_host/host0/proc_name': 'megaraid_sas',
    ...disk('sdb', 1, 'mq-deadline [none]'),
    '/sys/block/sdb/device/scsi_disk/1:0:0:0/cache_type': 'write back',
    '/sys/class/scsi_disk/0:2:0:0/cache_type': 'write through',
    '/sys/class/scsi_disk/1:0:0:0/cache_type': 'write back',
    '/sys/class/scsi_host/host1/proc_name': 'ahci',
  },
  hypervisor: { qemu: '5.2.0', libvirt: '7.0.0', features: ['emulated', 'legacy'] },
};

/** A server of SELinux's distributions with nothing to find but that it only warns. */
export const permissive: HostTree = {
  ...intelServer,
  files: {
    ...intelServer.files,
    '/sys/module/apparmor/parameters/enabled': null,
    '/sys/fs/selinux/enforce': '0',
    '/proc/mounts': `${cgroup2}${hugetlbfs}`,
    ...node(0, '0-3', 131_072, 512),
    '/dev/kvm': '',
    '/etc/group': 'root:x:0:\n',
  },
};

export { storagePath };
