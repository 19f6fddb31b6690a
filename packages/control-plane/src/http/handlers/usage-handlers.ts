// What hosts and instances use over time.
import type { hostUsageRoutes } from '@virga/contract/rest/host-usage';
import { usageMetrics } from '../../modules/usage/usage-metrics.ts';
import { hostUsage, instanceUsage, usageReport } from '../../modules/usage/usage-operations.ts';
import type { FrontDeps, Handlers } from '../handler.ts';

export function usageHandlers(deps: FrontDeps): Pick<Handlers, keyof typeof hostUsageRoutes> {
  return {
    getHostUsage: ({ access, params, query }) => hostUsage(deps, access, params.id, query),
    getInstanceUsage: ({ access, params, query }) => instanceUsage(deps, access, params.id, query),
    getUsageReport: ({ access, query }) => usageReport(deps, access, query),
    getMetrics: ({ access }) => usageMetrics(deps, access),
  };
}
