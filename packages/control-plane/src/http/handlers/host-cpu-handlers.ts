// Handlers of the CPUs of hosts, and of how the vCPUs of instances run.
import type { hostCpuRoutes } from '@virga/contract/rest/host-cpus';
import type { instanceCpuRoutes } from '@virga/contract/rest/instance-cpu-change';
import { changeCpu, pinInstance } from '../../modules/instances/change-cpu.ts';
import { getCpuBaseline, setCpuBaseline } from '../../modules/placement/cpu-baseline.ts';
import { reserveCpus } from '../../modules/placement/cpu-pools.ts';
import { hostCpuReport } from '../../modules/placement/host-cpu-report.ts';
import type { FrontDeps, Handlers } from '../handler.ts';

const defaultSampleMs = 500;

export function hostCpuHandlers(
  deps: FrontDeps,
): Pick<Handlers, keyof typeof hostCpuRoutes | keyof typeof instanceCpuRoutes> {
  return {
    getHostCpus: ({ access, params, query, signal }) =>
      hostCpuReport(deps, access, params.id, query.sampleMs ?? defaultSampleMs, signal),
    reserveHostCpus: ({ access, params, body }) => reserveCpus(deps.db, access, params.id, body.cpus),
    getCpuBaseline: ({ access }) => getCpuBaseline(deps, access),
    setCpuBaseline: ({ access, body }) => setCpuBaseline(deps, access, body.use),
    changeCpu: ({ access, params, body, ifMatch }) => changeCpu(deps, access, params.id, body, ifMatch),
    pinInstance: ({ access, params, body, ifMatch }) => pinInstance(deps, access, params.id, body, ifMatch),
  };
}
