// Where the memory of hosts is, and how much of it may be promised.
import type { hostMemoryRoutes } from '@virga/contract/rest/host-memory';
import { updateHost } from '../../modules/hosts/update-host.ts';
import { hostMemoryReport } from '../../modules/instances/host-memory-report.ts';
import type { FrontDeps, Handlers } from '../handler.ts';

export function hostMemoryHandlers(deps: FrontDeps): Pick<Handlers, keyof typeof hostMemoryRoutes> {
  return {
    getHostMemory: ({ access, params, signal }) => hostMemoryReport(deps, access, params.id, signal),
    updateHost: ({ access, params, body }) => updateHost(deps, access, params.id, body),
  };
}
