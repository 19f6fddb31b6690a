// How hosts are to be tuned, and how they are.
import type { DesiredTuning } from '@virga/contract/agent/host-tuning';
import type { Problem } from '@virga/contract/errors';
import type { HostId } from '@virga/contract/ids';
import type { ColumnType, Generated } from 'kysely';

type Tuning = ColumnType<DesiredTuning | null, string | null, string | null>;

export type TuningTables = {
  host_tunings: {
    host_id: HostId;
    generation: Generated<number>;
    converged_generation: Generated<number>;
    desired: Tuning;
    settled: Tuning;
    failure: ColumnType<Pick<Problem, 'code' | 'detail' | 'action'> | null, string | null, string | null>;
    boot_id: string | null;
    applied_at: Date | null;
  };
};
