// Tables of identity, projects, key pairs, operations, events and idempotency.
import type { Problem } from '@virga/contract/errors';
import type { KeyPairId, OperationId, ProjectId, UserId } from '@virga/contract/ids';
import type { OperationState } from '@virga/contract/rest/operations';
import type { CloudRole, ProjectRole } from '@virga/contract/route';
import type { ColumnType, Generated, JSONColumnType } from 'kysely';

/** A time that the database sets when the row is written, unless it is given. */
export type CreatedAt = ColumnType<Date, Date | undefined, never>;

export type FoundationTables = {
  settings: { key: string; value: string };
  projects: { id: ProjectId; name: string; description: string; created_at: CreatedAt };
  users: {
    id: UserId;
    name: string;
    password_hash: string | null;
    cloud_role: CloudRole;
    created_at: CreatedAt;
  };
  project_members: { project_id: ProjectId; user_id: UserId; role: ProjectRole };
  api_keys: {
    access_key_id: string;
    user_id: UserId;
    project_id: ProjectId | null;
    description: string;
    secret_sha256: Buffer;
    secret_sealed: Buffer;
    created_at: CreatedAt;
    expires_at: Date | null;
  };
  key_pairs: {
    id: KeyPairId;
    project_id: ProjectId;
    name: string;
    public_key: string;
    fingerprint: string;
    created_at: CreatedAt;
  };
  operations: {
    id: OperationId;
    kind: string;
    project_id: ProjectId;
    resource_id: string;
    resource_name: string;
    state: Generated<OperationState>;
    progress_percent: Generated<number>;
    message: Generated<string>;
    error: JSONColumnType<Problem> | null;
    requested_by: string;
    /** Generation of the resource that this operation is to reach; null for workflows. */
    generation: number | null;
    /** Input of a workflow. */
    input: JSONColumnType<Record<string, unknown>> | null;
    step: Generated<number>;
    /** Set while a workflow that failed for good undoes its steps. */
    failure: JSONColumnType<Pick<Problem, 'code' | 'detail' | 'action' | 'field'>> | null;
    lease_owner: string | null;
    lease_until: Date | null;
    fence: Generated<number>;
    created_at: CreatedAt;
    started_at: Date | null;
    finished_at: Date | null;
  };
  events: {
    seq: Generated<number>;
    txid: Generated<string>;
    time: Generated<Date>;
    category: 'audit' | 'lifecycle';
    type: string;
    project_id: ProjectId | null;
    resource_id: string | null;
    resource_name: string | null;
    actor: string;
    message: string;
    data: JSONColumnType<Record<string, unknown>>;
    request_id: string | null;
  };
  idempotency_keys: {
    user_id: UserId;
    key: string;
    request_sha256: Buffer;
    response: JSONColumnType<Record<string, unknown>> | null;
    created_at: CreatedAt;
  };
};
