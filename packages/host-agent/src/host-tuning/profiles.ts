// The profiles of host tuning, as data: for each knob what it is set to, and why. A value of several is an order of
// preference. What a host does not have is left out when the profile is applied to it.
import type { BlockDeviceClass } from '@virga/contract/agent/block-devices';
import type { TunableSysctl, TuningOverrides, TuningProfile } from '@virga/contract/agent/host-tuning';

export type Choice = { value: string | number | readonly string[]; why: string };

type PlainKnob = Exclude<keyof TuningOverrides, 'ioScheduler' | 'sysctl' | 'hugePages2Mib' | 'hugePages1Gib'>;

export type Profile = Partial<Record<PlainKnob, Choice>> & {
  ioScheduler: Partial<Record<BlockDeviceClass, Choice>>;
  sysctl: Partial<Record<TunableSysctl, Choice>>;
};

const to = (value: Choice['value'], why: string): Choice => ({ value, why });

/** What is right for a host of virtual machines whatever it is to be good at. */
const everyHost = {
  'fs.aio-max-nr': to(
    1_048_576,
    'Every disk with native AIO takes requests from this pool; 65536 are few for many guests.',
  ),
  'net.ipv4.neigh.default.gc_thresh1': to(4096, 'A host of many guests knows many neighbours.'),
  'net.ipv4.neigh.default.gc_thresh2': to(8192, 'A host of many guests knows many neighbours.'),
  'net.ipv4.neigh.default.gc_thresh3': to(16_384, 'Beyond this many neighbours packets to guests are dropped.'),
  'vm.zone_reclaim_mode': to(0, 'Memory of another node is better than throwing away what the page cache has.'),
} satisfies Profile['sysctl'];

const nvme = to('none', 'NVMe has many queues and orders requests itself; a scheduler only costs CPU.');
const virtual = to('none', 'The hypervisor below orders requests again.');
const byFrequency = to(
  ['schedutil', 'ondemand', 'powersave'],
  'The CPUs are as fast as there is work, and save power without.',
);
const fullSpeed = to('performance', 'No guest waits for a CPU to gain speed.');

const balanced: Profile = {
  ksm: to('on', 'Equal pages of guests that may be merged are kept once.'),
  ksmAdvisor: to('scan-time', 'The kernel looks at as many pages as a scan within minutes takes, and at no more.'),
  ksmPages: to(100, 'A slow scan: it took 2 % of a core for five small guests when it was measured.'),
  ksmAcrossNodes: to('off', 'A page that is merged with one of another node is remote for one of the two guests.'),
  thp: to('madvise', 'QEMU asks for huge pages for guest memory; nothing else pays for them.'),
  thpDefrag: to(['defer+madvise', 'madvise'], 'Guests get huge pages at once, everybody else later.'),
  swappiness: to(10, 'Memory of guests goes to swap only when there is no cache left to drop.'),
  cpuGovernor: byFrequency,
  ioScheduler: {
    nvme,
    ssd: to('mq-deadline', 'Reads of one guest do not wait behind the writes of another.'),
    rotating: to('mq-deadline', 'Requests are sorted, and none waits for ever.'),
    virtual,
  },
  sysctl: {
    ...everyHost,
    'kernel.numa_balancing': to(1, 'Memory of guests that are not bound to a node follows their CPUs.'),
    'vm.dirty_background_ratio': to(5, 'What is written through the page cache goes to disk early and evenly.'),
    'vm.dirty_ratio': to(20, 'Nobody who writes waits before a fifth of the memory is unwritten.'),
  },
};

const latency: Profile = {
  ksm: to('off', 'A write to a merged page waits until it is copied.'),
  thp: to('madvise', 'QEMU asks for huge pages for guest memory; nothing else pays for them.'),
  thpDefrag: to(['defer', 'madvise'], 'Nobody waits until memory is compacted; huge pages come in the background.'),
  swappiness: to(1, 'Memory of guests that comes back from swap is a pause of milliseconds.'),
  cpuGovernor: fullSpeed,
  ioScheduler: {
    nvme,
    ssd: to('none', 'A fast disk answers sooner than a scheduler decides.'),
    rotating: to('mq-deadline', 'No request waits for ever behind those that are nearer to the head.'),
    virtual,
  },
  sysctl: {
    ...everyHost,
    'kernel.nmi_watchdog': to(0, 'No interrupt of the watchdog stops a guest.'),
    'kernel.numa_balancing': to(0, 'Looking where memory is used makes guests fault on it.'),
    'vm.compaction_proactiveness': to(0, 'Memory is not compacted behind the back of guests.'),
    'vm.dirty_background_ratio': to(3, 'Little is unwritten at any time, so a flush is short.'),
    'vm.dirty_ratio': to(10, 'Little is unwritten at any time, so a flush is short.'),
    'vm.stat_interval': to(10, 'CPUs of guests are interrupted less often to count memory.'),
  },
};

const throughput: Profile = {
  ksm: to('off', 'Scanning for equal pages takes CPU from guests.'),
  thp: to('always', 'Every large allocation gets huge pages, guest memory among them.'),
  thpDefrag: to(['defer+madvise', 'madvise'], 'Guests get huge pages at once, everybody else later.'),
  khugepagedSleepMs: to(1000, 'Memory becomes huge within minutes rather than hours.'),
  swappiness: to(10, 'Memory of guests goes to swap only when there is no cache left to drop.'),
  cpuGovernor: fullSpeed,
  ioScheduler: {
    nvme,
    ssd: to('none', 'The disk orders requests itself; a scheduler only costs CPU.'),
    rotating: to('mq-deadline', 'Requests are sorted, so the heads move less.'),
    virtual,
  },
  sysctl: {
    ...everyHost,
    'kernel.numa_balancing': to(1, 'Memory of guests that are not bound to a node follows their CPUs.'),
    'vm.dirty_background_ratio': to(10, 'Writes are gathered into large ones.'),
    'vm.dirty_ratio': to(40, 'Writes are gathered into large ones.'),
  },
};

const density: Profile = {
  ksm: to('on', 'Equal pages of guests that may be merged are kept once.'),
  ksmPages: to(1000, 'Found nine tenths of what could be saved within 8 s for 13 % of a core when it was measured.'),
  ksmAcrossNodes: to('on', 'What is equal on any node is kept once.'),
  thp: to('madvise', 'QEMU asks for huge pages for guest memory; nothing else grows by them.'),
  thpDefrag: to('madvise', 'Nothing but guest memory is compacted for.'),
  swappiness: to(60, 'Memory that idle guests do not touch goes to swap, and makes room for others.'),
  cpuGovernor: byFrequency,
  ioScheduler: {
    nvme,
    ssd: to('mq-deadline', 'Reads of one guest do not wait behind the writes of another.'),
    rotating: to('bfq', 'Many guests on one disk get an even share of it.'),
    virtual,
  },
  sysctl: {
    ...everyHost,
    'kernel.numa_balancing': to(1, 'Memory of guests that are not bound to a node follows their CPUs.'),
    'vm.dirty_background_ratio': to(5, 'What is written through the page cache goes to disk early and evenly.'),
    'vm.dirty_ratio': to(10, 'Memory is for guests, not for what is not written yet.'),
  },
};

export const profiles: Record<TuningProfile, Profile> = {
  balanced,
  latency,
  throughput,
  density,
  custom: { ioScheduler: {}, sysctl: {} },
};
