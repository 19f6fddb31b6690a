// What hosts and instances use over time, and what follows from it: who is idle, what is too large or too small, how many hosts
// would do.
import { type Static, Type } from 'typebox';
import { IdSchema } from '../ids.ts';
import { route } from '../route.ts';
import { idParams, Name, Nullable, Time } from './shared.ts';

/** What a point stands for. Samples are kept for a day, five minutes for 14 days, hours for a year. */
const Step = Type.Union([Type.Literal('sample'), Type.Literal('5m'), Type.Literal('1h')]);
export type UsageStep = Static<typeof Step>;
/** As many points as one answer may have. */
export const maxUsagePoints = 3000;

const seriesQuery = Type.Object({
  from: Type.Optional(Type.String({ format: 'date-time', description: 'default an hour before `to`' })),
  to: Type.Optional(Type.String({ format: 'date-time', description: 'default now' })),
  step: Type.Optional(
    Type.Union(Step.anyOf, { description: 'default the finest that is kept and not too much for one answer' }),
  ),
});

const Rate = Type.Number({ minimum: 0 });
const covered = {
  at: Type.String({
    format: 'date-time',
    description: 'of a sample, when it was taken; of a longer step, when that began',
  }),
  seconds: Type.Number({ description: 'that it covers' }),
};

export const HostUsagePoint = Type.Object(
  {
    ...covered,
    threads: Rate,
    cpusBusy: Type.Number({ description: 'threads that were busy, on average' }),
    cpusBusyMax: Rate,
    busiestCpu: Type.Number({ description: 'share of the thread that was busy most' }),
    cpusStolen: Type.Number({ description: 'taken by a hypervisor below' }),
    load: Rate,
    memoryMib: Rate,
    memoryUsedMib: Type.Number({ description: 'less what is available' }),
    memoryUsedMibMax: Rate,
    swapUsedMib: Rate,
    readBytesPerSecond: Nullable(Rate),
    writtenBytesPerSecond: Nullable(Rate),
    diskRequestsPerSecond: Nullable(Rate),
    diskBusy: Nullable(Type.Number({ description: 'share of time' })),
    receivedBytesPerSecond: Rate,
    sentBytesPerSecond: Rate,
    cpuPressure: Nullable(Type.Number({ description: 'share of time that something waited for a processor' })),
    memoryPressure: Nullable(Rate),
    ioPressure: Nullable(Rate),
  },
  { $id: 'HostUsagePoint' },
);
export type HostUsagePoint = Static<typeof HostUsagePoint>;

export const InstanceUsagePoint = Type.Object(
  {
    ...covered,
    vcpus: Rate,
    cpusBusy: Type.Number({ description: 'threads of the host that it kept busy, on average' }),
    cpusBusyMax: Rate,
    cpusWaiting: Nullable(Type.Number({ description: 'vCPUs that were ready to run and did not' })),
    memoryMib: Rate,
    memoryUsedMib: Nullable(Type.Number({ description: 'by the guest; null when it does not tell' })),
    memoryUsedMibMax: Nullable(Rate),
    residentMib: Nullable(Type.Number({ description: 'that the host gave to it' })),
    readBytesPerSecond: Nullable(Rate),
    writtenBytesPerSecond: Nullable(Rate),
    diskRequestsPerSecond: Nullable(Rate),
    receivedBytesPerSecond: Nullable(Rate),
    sentBytesPerSecond: Nullable(Rate),
  },
  { $id: 'InstanceUsagePoint' },
);
export type InstanceUsagePoint = Static<typeof InstanceUsagePoint>;

const Series = <T extends Parameters<typeof Type.Array>[0]>(point: T) =>
  Type.Object({ from: Time, to: Time, step: Step, points: Type.Array(point) });

/**
 * `idle`: off it would be missed by nobody. `oversized`, `undersized`: another type would fit. `unknown`: not enough was seen.
 */
export const UsageVerdict = Type.Union([
  Type.Literal('idle'),
  Type.Literal('oversized'),
  Type.Literal('undersized'),
  Type.Literal('fitting'),
  Type.Literal('unknown'),
]);
export type UsageVerdict = Static<typeof UsageVerdict>;

const Freed = Type.Object({ vcpus: Type.Integer(), memoryMib: Type.Integer() });

export const InstanceVerdict = Type.Object(
  {
    id: IdSchema('instance'),
    name: Type.String(),
    projectId: IdSchema('project'),
    hostId: IdSchema('host'),
    type: Type.String(),
    vcpus: Type.Integer(),
    memoryMib: Type.Integer(),
    verdict: UsageVerdict,
    reason: Type.String({ description: 'what was seen, one sentence' }),
    seenHours: Type.Number({ description: 'of the time it was on, within the window' }),
    /** Of its vCPUs. */
    cpuAveragePercent: Nullable(Rate),
    cpuP95Percent: Nullable(Rate),
    cpuPeakPercent: Nullable(Rate),
    memoryP95Mib: Nullable(Rate),
    memorySource: Nullable(
      Type.Union([Type.Literal('guest'), Type.Literal('host')], {
        description: 'host: the guest does not tell, and uses this much at most',
      }),
    ),
    recommendedType: Nullable(Name),
    frees: Freed,
  },
  { $id: 'InstanceVerdict' },
);
export type InstanceVerdict = Static<typeof InstanceVerdict>;

export const HostConsolidation = Type.Object(
  {
    id: IdSchema('host'),
    name: Type.String(),
    seenHours: Type.Number(),
    instances: Type.Integer({ description: 'that are on' }),
    threads: Type.Integer(),
    vcpus: Type.Integer({ description: 'promised' }),
    vcpusPerThread: Type.Number(),
    cpuAveragePercent: Nullable(Rate),
    cpuP95Percent: Nullable(Rate),
    memoryMib: Type.Integer(),
    memoryPromisedMib: Type.Integer(),
    memoryResidentMib: Nullable(Type.Number({ description: 'that instances hold of the host, on average' })),
    memoryUsedPercent: Nullable(Rate),
  },
  { $id: 'HostConsolidation' },
);
export type HostConsolidation = Static<typeof HostConsolidation>;

export const UsageReport = Type.Object(
  {
    from: Time,
    to: Time,
    minimumHours: Type.Number({
      description: 'that an instance must have been seen for before anything is said about it',
    }),
    cloud: Type.Object({
      hosts: Type.Integer(),
      instances: Type.Integer({ description: 'that are on' }),
      instancesPerHost: Type.Number(),
      threads: Type.Integer(),
      vcpus: Type.Integer(),
      vcpusPerThread: Type.Number(),
      cpuAveragePercent: Nullable(Rate),
      memoryMib: Type.Integer(),
      memoryPromisedMib: Type.Integer(),
      memoryResidentMib: Nullable(Rate),
      memoryPromisedPerResident: Nullable(Rate),
    }),
    hosts: Type.Array(HostConsolidation),
    counts: Type.Object({
      idle: Type.Integer(),
      oversized: Type.Integer(),
      undersized: Type.Integer(),
      fitting: Type.Integer(),
      unknown: Type.Integer(),
    }),
    /** By what they would free, most first; those that fit are left out. */
    instances: Type.Array(InstanceVerdict),
    frees: Type.Object({ idle: Freed, oversized: Freed }),
    packing: Type.Object({
      hostsInUse: Type.Integer(),
      hostsNeeded: Type.Integer({ description: 'for the instances as they are' }),
      hostsNeededAfterRightSizing: Type.Integer({
        description: 'without the idle ones, the others with recommended types',
      }),
      reason: Type.String(),
    }),
  },
  { $id: 'UsageReport' },
);
export type UsageReport = Static<typeof UsageReport>;

export const hostUsageRoutes = {
  getHostUsage: route({
    method: 'GET',
    path: '/v1/hosts/{id}/usage',
    summary: 'What a host used over time',
    access: { scope: 'cloud', role: 'viewer' },
    params: idParams('host'),
    query: seriesQuery,
    ok: Series(HostUsagePoint),
  }),
  getInstanceUsage: route({
    method: 'GET',
    path: '/v1/instances/{id}/usage',
    summary: 'What an instance used over time',
    access: { scope: 'project', role: 'viewer' },
    params: idParams('instance'),
    query: seriesQuery,
    ok: Series(InstanceUsagePoint),
  }),
  getUsageReport: route({
    method: 'GET',
    path: '/v1/usage/report',
    summary: 'How well the hosts are used: consolidation, idle and wrongly sized instances, how many hosts would do',
    access: { scope: 'cloud', role: 'viewer' },
    query: Type.Object({
      from: Type.Optional(Type.String({ format: 'date-time', description: 'default 7 days before `to`; at most 14' })),
      to: Type.Optional(Type.String({ format: 'date-time', description: 'default now' })),
      minimumHours: Type.Optional(
        Type.Integer({ minimum: 1, maximum: 336, description: 'that an instance must have been seen for; default 24' }),
      ),
      limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 10_000, description: 'of instances; default 1000' })),
    }),
    ok: UsageReport,
  }),
  getMetrics: route({
    method: 'GET',
    path: '/metrics',
    summary: 'What hosts and instances use now, as Prometheus reads it',
    access: { scope: 'cloud', role: 'viewer' },
    ok: Type.String(),
    transport: 'text',
  }),
};
