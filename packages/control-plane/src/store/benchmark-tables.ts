// What was measured on hosts.
import type { MeasuredComparison } from '@virga/contract/agent/host-bench';
import type { BenchmarkId, HostId, OperationId } from '@virga/contract/ids';
import type { HostBenchmark } from '@virga/contract/rest/host-bench';
import type { ColumnType, Generated, JSONColumnType } from 'kysely';
import type { CreatedAt } from './foundation-tables.ts';

export type BenchmarkTables = {
  host_benchmarks: {
    id: BenchmarkId;
    host_id: HostId;
    operation_id: OperationId;
    setup: JSONColumnType<HostBenchmark['setup']>;
    conditions: JSONColumnType<HostBenchmark['conditions']>;
    measured: ColumnType<MeasuredComparison[], string, string>;
    state: Generated<HostBenchmark['state']>;
    state_reason: string | null;
    is_cancelled: Generated<boolean>;
    created_at: CreatedAt;
    finished_at: Date | null;
  };
};
