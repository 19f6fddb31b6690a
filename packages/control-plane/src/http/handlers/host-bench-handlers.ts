// Handlers of benchmarks of hosts: nothing but the way from a request to the operations of its module.
import type { hostBenchRoutes } from '@virga/contract/rest/host-bench';
import {
  benchmarkHost,
  cancelHostBenchmark,
  getHostBenchmark,
  listHostBenchmarks,
} from '../../modules/hosts/bench/benchmark-operations.ts';
import type { FrontDeps, Handlers } from '../handler.ts';

export function hostBenchHandlers(deps: FrontDeps): Pick<Handlers, keyof typeof hostBenchRoutes> {
  return {
    benchmarkHost: ({ access, params, body, idempotency }) => benchmarkHost(deps, access, params.id, body, idempotency),
    listHostBenchmarks: ({ access, params, query }) => listHostBenchmarks(deps.db, access, params.id, query),
    getHostBenchmark: ({ access, params }) => getHostBenchmark(deps.db, access, params.id),
    cancelHostBenchmark: ({ access, params }) => cancelHostBenchmark(deps, access, params.id),
  };
}
