// Rows of benchmarks. What was measured is kept as it came; what it means is worked out anew each time it is read.
import type { HostFacts } from '@virga/contract/agent/host-facts';
import { VirgaError } from '@virga/contract/errors';
import type { BenchmarkId } from '@virga/contract/ids';
import type { HostBenchmark } from '@virga/contract/rest/host-bench';
import type { Selectable } from 'kysely';
import type { Db, Tx } from '../../../store/database.ts';
import type { Database } from '../../../store/schema.ts';
import { judge, recommendationsOf } from './judge.ts';

export type BenchmarkRow = Selectable<Database['host_benchmarks']> & { host_name: string };

export const benchmarks = (db: Db | Tx) =>
  db
    .selectFrom('host_benchmarks')
    .innerJoin('hosts', 'hosts.id', 'host_benchmarks.host_id')
    .selectAll('host_benchmarks')
    .select('hosts.name as host_name');

/** @throws NotFound */
export async function requireBenchmark(db: Db | Tx, id: BenchmarkId): Promise<BenchmarkRow> {
  const row = await benchmarks(db).where('host_benchmarks.id', '=', id).executeTakeFirst();
  if (row) return row;
  throw new VirgaError('NotFound', {
    detail: `There is no benchmark ${id}.`,
    action: 'List those of a host with virga hosts benchmarks.',
  });
}

export function conditionsOf(facts: HostFacts | null): HostBenchmark['conditions'] {
  return {
    acceleration: facts?.acceleration.mode ?? null,
    cpuModel: facts?.cpuModel ?? null,
    cpuThreads: facts?.cpuThreads ?? null,
    memoryMib: facts?.memoryMib ?? null,
    kernelVersion: facts?.kernelVersion ?? null,
    hypervisorVersion: facts?.hypervisorVersion ?? null,
  };
}

export function toBenchmark(row: BenchmarkRow): HostBenchmark {
  const comparisons = row.measured.map(judge);
  return {
    id: row.id,
    hostId: row.host_id,
    hostName: row.host_name,
    state: row.state,
    stateReason: row.state_reason,
    setup: row.setup,
    conditions: row.conditions,
    comparisons,
    recommendations: recommendationsOf(comparisons),
    operationId: row.operation_id,
    createdAt: row.created_at.toISOString(),
    finishedAt: row.finished_at?.toISOString() ?? null,
  };
}
