// Tuning of a host as a whole: a profile, and what the administrator wants otherwise. Declarative: the host is told the whole
// of what is wanted, and null takes everything back. What an instance asks of CPU, memory and disks is not here.
import { type Static, type TSchema, Type } from 'typebox';
import type { CallContext } from './call-context.ts';
import { HostChange } from './host-changes.ts';

/** `custom`: nothing but what the administrator says. */
export const TuningProfile = Type.Union([
  Type.Literal('balanced'),
  Type.Literal('latency'),
  Type.Literal('throughput'),
  Type.Literal('density'),
  Type.Literal('custom'),
]);
export type TuningProfile = Static<typeof TuningProfile>;

/** Leaves a knob as the host has it, whatever the profile says. */
export const keep = 'keep';

const oneOf = <const V extends readonly string[]>(...values: V) =>
  Type.Unsafe<V[number] | typeof keep>(Type.Union([...values, keep].map((value) => Type.Literal(value))));
const count = (minimum: number, maximum: number) =>
  Type.Union([Type.Integer({ minimum, maximum }), Type.Literal(keep)]);
const schedulers = ['none', 'mq-deadline', 'bfq', 'kyber', 'noop', 'deadline', 'cfq'] as const;
const mostPages = 2 ** 31;
const pages = Type.Union([
  Type.Integer({ minimum: 0, maximum: mostPages }),
  Type.Record(Type.String({ pattern: '^[0-9]{1,4}$' }), Type.Integer({ minimum: 0, maximum: mostPages })),
]);

/** Sysctls that may be set: what bears on guests, and nothing that would run a program or open the host to anybody. */
export const tunableSysctls = [
  'fs.aio-max-nr',
  'kernel.nmi_watchdog',
  'kernel.numa_balancing',
  'kernel.sched_autogroup_enabled',
  'kernel.timer_migration',
  'net.ipv4.neigh.default.gc_thresh1',
  'net.ipv4.neigh.default.gc_thresh2',
  'net.ipv4.neigh.default.gc_thresh3',
  'vm.compaction_proactiveness',
  'vm.dirty_background_ratio',
  'vm.dirty_ratio',
  'vm.max_map_count',
  'vm.min_free_kbytes',
  'vm.page-cluster',
  'vm.stat_interval',
  'vm.vfs_cache_pressure',
  'vm.watermark_scale_factor',
  'vm.zone_reclaim_mode',
] as const;
export type TunableSysctl = (typeof tunableSysctls)[number];

const described = <T extends TSchema>(description: string, schema: T): T => ({ ...schema, description });

/** What an administrator may say of a host, each knob by itself. */
export const TuningOverrides = Type.Partial(
  Type.Object(
    {
      ksm: described(
        'merging of equal memory pages; off leaves what is merged, unmerge takes it apart',
        oneOf('on', 'off', 'unmerge'),
      ),
      ksmPages: described('pages that are looked at in each round', count(1, 10_000_000)),
      ksmSleepMs: described('pause between two rounds', count(0, 600_000)),
      ksmAcrossNodes: described('merge pages of different NUMA nodes', oneOf('on', 'off')),
      ksmAdvisor: described(
        'scan-time: the kernel itself chooses the pages of a round (6.8 and later)',
        oneOf('none', 'scan-time'),
      ),
      thp: described('transparent huge pages', oneOf('always', 'madvise', 'never')),
      thpDefrag: described(
        'who waits for a huge page to be made',
        oneOf('always', 'defer', 'defer+madvise', 'madvise', 'never'),
      ),
      khugepagedPages: described('pages that are looked at in each round', count(1, 10_000_000)),
      khugepagedSleepMs: described('pause between two rounds', count(0, 3_600_000)),
      hugePages2Mib: described(
        'static huge pages of 2 MiB: of the host, spread over its nodes, or of each node',
        pages,
      ),
      hugePages1Gib: described('static huge pages of 1 GiB, likewise', pages),
      hugePages1GibAtBoot: described(
        'static huge pages of 1 GiB by the kernel command line, for memory that is fragmented by the time they are asked for',
        Type.Integer({ minimum: 0, maximum: 65_536 }),
      ),
      swappiness: described('how soon memory goes to swap; above 100 from kernel 5.8 on', count(0, 200)),
      cpuGovernor: described(
        'how the frequency of the CPUs is chosen',
        oneOf('performance', 'powersave', 'schedutil', 'ondemand', 'conservative'),
      ),
      ioScheduler: described(
        'by device class (nvme, ssd, rotating, virtual) or device, such as sda; a device goes before its class',
        Type.Record(Type.String({ pattern: '^[a-z][a-zA-Z0-9-]{0,31}$' }), oneOf(...schedulers)),
      ),
      sysctl: described(
        'settings of the kernel by name',
        Type.Partial(
          Type.Object(
            Object.fromEntries(tunableSysctls.map((name) => [name, count(0, Number.MAX_SAFE_INTEGER)])) as Record<
              TunableSysctl,
              ReturnType<typeof count>
            >,
            { additionalProperties: false },
          ),
          { additionalProperties: false },
        ),
      ),
    },
    { additionalProperties: false },
  ),
  { additionalProperties: false },
);
export type TuningOverrides = Static<typeof TuningOverrides>;

export const DesiredTuning = Type.Object(
  { profile: TuningProfile, overrides: TuningOverrides },
  { $id: 'DesiredTuning', additionalProperties: false },
);
export type DesiredTuning = Static<typeof DesiredTuning>;

const NullableText = Type.Union([Type.String(), Type.Null()]);

/** One knob at one place of the host, such as the scheduler of one disk. */
export const TuningSetting = Type.Object(
  {
    knob: Type.String({ description: 'as in overrides, with what it is of: ioScheduler.sda, sysctl.vm.dirty_ratio' }),
    path: Type.String({ description: 'where the host has it' }),
    now: NullableText,
    wanted: NullableText,
    by: Type.Union([Type.Literal('profile'), Type.Literal('override'), Type.Null()], {
      description: 'null: nobody wants anything of it',
    }),
    why: Type.String(),
  },
  { $id: 'TuningSetting' },
);
export type TuningSetting = Static<typeof TuningSetting>;

/** What tuning comes to on this host. */
export const TuningPlan = Type.Object(
  {
    settings: Type.Array(TuningSetting, { description: 'every knob that the host has' }),
    changes: Type.Array(HostChange, { description: 'what would be changed, files that make it last included' }),
    notes: Type.Array(Type.String(), { description: 'what was left out, and why' }),
    atNextBoot: Type.Array(Type.String(), {
      description: 'arguments of the kernel command line that wait for a restart of the host',
    }),
  },
  { $id: 'TuningPlan' },
);
export type TuningPlan = Static<typeof TuningPlan>;

export interface HostTuning {
  /**
   * What applying would change now. Changes nothing.
   * @throws HostSettingRefused the host does not have what was asked for by name; `field` points into the desired tuning
   */
  planTuning(desired: DesiredTuning | null, context?: CallContext): Promise<TuningPlan>;
  /**
   * Makes the host as desired, now and after its next start; null takes back all that tuning has changed, exactly. Each
   * setting is read back. Idempotent; also sets right what somebody else has changed since.
   * @returns what was changed
   * @throws HostSettingRefused the host does not have it, or its kernel did not take it; all is as before
   */
  applyTuning(
    desired: DesiredTuning | null,
    context?: CallContext,
  ): Promise<{ changes: HostChange[]; notes: string[] }>;
  /**
   * How the host is, with what was applied before: every knob, and as `changes` what somebody else has changed since. What
   * the host no longer has, such as a disk, is a note.
   */
  observedTuning(inForce: DesiredTuning | null, context?: CallContext): Promise<TuningPlan>;
  /**
   * Sets right what is not as was applied before: what somebody else has changed, and what a restart of the host has.
   * @returns what was changed
   * @throws HostSettingRefused the kernel does not take it any more; all is as before the call
   */
  keepTuning(inForce: DesiredTuning, context?: CallContext): Promise<{ changes: HostChange[]; notes: string[] }>;
}
