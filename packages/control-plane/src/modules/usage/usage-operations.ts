// Reading the history of usage: the series of one host or instance, and the report over all. Changes nothing, and asks no host.
import { VirgaError } from '@virga/contract/errors';
import type { HostId, InstanceId } from '@virga/contract/ids';
import {
  type HostUsagePoint,
  type InstanceUsagePoint,
  maxUsagePoints,
  type UsageReport,
  type UsageStep,
} from '@virga/contract/rest/host-usage';
import type { CloudAccess, ProjectAccess } from '../../access/authorizer.ts';
import type { Deps } from '../../deps.ts';
import type { StoredStep } from '../../store/usage-tables.ts';
import { getHost } from '../hosts/host-operations.ts';
import { listInstanceTypes } from '../hosts/instance-type-operations.ts';
import { requireInstance } from '../instances/instance-operations.ts';
import { reportedHosts, reportedInstances } from './report-store.ts';
import { buildReport } from './usage-report.ts';
import { hostSeries, instanceSeries } from './usage-series.ts';
import { keptMs } from './usage-store.ts';

type SeriesQuery = { from?: string; to?: string; step?: UsageStep };
type Series<Point> = { from: string; to: string; step: UsageStep; points: Point[] };

const minuteMs = 60_000;
const hourMs = 60 * minuteMs;
const dayMs = 24 * hourMs;
const stored: Record<UsageStep, StoredStep> = { sample: 1, '5m': 5, '1h': 60 };
/** As many points as are looked at when nobody asks for a step. */
const pointsUnasked = 720;

/** @throws NotFound | InvalidArgument the window makes no sense, or has too many points */
export async function hostUsage(
  deps: Deps,
  access: CloudAccess,
  id: HostId,
  query: SeriesQuery,
): Promise<Series<HostUsagePoint>> {
  await getHost(deps.db, access, id);
  const { from, to, step } = windowOf(query, deps);
  return { ...shown(from, to, step), points: await hostSeries(deps.db, access, id, stored[step], from, to) };
}

/** @throws NotFound | InvalidArgument */
export async function instanceUsage(
  deps: Deps,
  access: ProjectAccess,
  id: InstanceId,
  query: SeriesQuery,
): Promise<Series<InstanceUsagePoint>> {
  await requireInstance(deps.db, access, id);
  const { from, to, step } = windowOf(query, deps);
  return { ...shown(from, to, step), points: await instanceSeries(deps.db, access, id, stored[step], from, to) };
}

const shown = (from: Date, to: Date, step: UsageStep) => ({ from: from.toISOString(), to: to.toISOString(), step });

const defaultReportMs = 7 * dayMs;
const defaultMinimumHours = 24;
const defaultLimit = 1000;

/** @throws InvalidArgument */
export async function usageReport(
  deps: Deps,
  access: CloudAccess,
  query: { from?: string; to?: string; minimumHours?: number; limit?: number },
): Promise<UsageReport> {
  const to = query.to === undefined ? deps.clock.now() : momentOf(query.to, '/to');
  const from = query.from === undefined ? new Date(to.getTime() - defaultReportMs) : momentOf(query.from, '/from');
  refuseBackwards(from, to);
  if (to.getTime() - from.getTime() > keptMs[5]) {
    throw invalid('A report looks at 14 days at most.', 'Ask for a shorter time.', '/from');
  }
  const [hosts, instances, types] = await Promise.all([
    reportedHosts(deps.db, access, from, to),
    reportedInstances(deps.db, access, from, to),
    listInstanceTypes(deps.db),
  ]);
  const { minimumHours = defaultMinimumHours, limit = defaultLimit } = query;
  return buildReport({ from, to, minimumSeconds: minimumHours * 3600, limit, hosts, instances, types: types.items });
}

function windowOf(query: SeriesQuery, { clock, settings }: Deps): { from: Date; to: Date; step: UsageStep } {
  const now = clock.now();
  const to = query.to === undefined ? now : momentOf(query.to, '/to');
  const from = query.from === undefined ? new Date(to.getTime() - hourMs) : momentOf(query.from, '/from');
  refuseBackwards(from, to);
  const lengthMs: Record<UsageStep, number> = {
    sample: settings.usagePeriodMs || minuteMs,
    '5m': 5 * minuteMs,
    '1h': hourMs,
  };
  const points = (step: UsageStep) => (to.getTime() - from.getTime()) / lengthMs[step];
  const isKept = (step: UsageStep) => now.getTime() - from.getTime() <= keptMs[stored[step]];
  const finest = (['sample', '5m'] as const).find((step) => isKept(step) && points(step) <= pointsUnasked);
  const step = query.step ?? finest ?? '1h';
  if (points(step) <= maxUsagePoints || (query.step === undefined && points(step) <= keptMs[60] / hourMs)) {
    return { from, to, step };
  }
  throw invalid(
    `The time has ${Math.ceil(points(step))} points; an answer has ${maxUsagePoints} at most.`,
    'Ask for a shorter time, or for a longer step.',
    '/step',
  );
}

function momentOf(text: string, field: string): Date {
  const moment = new Date(text);
  if (!Number.isNaN(moment.getTime())) return moment;
  throw invalid(`${JSON.stringify(text)} is no time.`, 'Give one such as 2030-01-31T18:00:00Z.', field);
}

function refuseBackwards(from: Date, to: Date): void {
  if (from < to) return;
  throw invalid('The time ends before it begins.', 'Give a `from` that is before `to`.', '/from');
}

const invalid = (detail: string, action: string, field: string) =>
  new VirgaError('InvalidArgument', { detail, action, field });
