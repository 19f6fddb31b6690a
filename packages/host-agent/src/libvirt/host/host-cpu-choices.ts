// What this host says of its CPUs to every guest: how they are divided, which model guests are given, and in which unit they
// are weighed. Looked at anew each time, but for what the agent was told.
import { cpuLayout } from '../../host-topology/cpu-layout.ts';
import type { AgentContext } from '../agent-context.ts';
import { type HostCpuChoices, wholeHost } from './cpu-division.ts';
import { cpuWeights } from './cpu-weights.ts';

export async function hostCpuChoices({ system, cpuPools }: AgentContext): Promise<HostCpuChoices> {
  const [{ pools }, layout, weights] = await Promise.all([cpuPools.read(), cpuLayout(system), cpuWeights(system)]);
  return { division: { layout, pools }, weights, guestModel: pools.guestModel };
}

/** As if all were anybody's: what a machine is does not depend on who has which CPU now. */
export const withoutDivision = <T extends { cpus?: HostCpuChoices | undefined }>(host: T): T =>
  host.cpus ? { ...host, cpus: { ...host.cpus, division: { ...host.cpus.division, pools: wholeHost } } } : host;
