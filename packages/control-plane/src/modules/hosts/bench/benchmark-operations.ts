// What fronts call to measure hosts, to read what was measured, and to end it early. The work is done by a workflow.
import { benchComparisons } from '@virga/contract/agent/host-bench';
import { VirgaError } from '@virga/contract/errors';
import { type BenchmarkId, type HostId, newId } from '@virga/contract/ids';
import { defaultBenchSetup, type HostBenchmark } from '@virga/contract/rest/host-bench';
import { type CloudAccess, projectOf } from '../../../access/authorizer.ts';
import type { Deps } from '../../../deps.ts';
import { appendEvent } from '../../../events/event-log.ts';
import { type Db, inTransaction } from '../../../store/database.ts';
import { notify } from '../../../store/notifications.ts';
import { type Idempotency, onceOnly } from '../../../store/once-only.ts';
import { fetchPage, type PageRequest } from '../../../store/page.ts';
import { startWorkflow } from '../../../workflows/workflow.ts';
import { getHost } from '../host-operations.ts';
import { benchHostKind } from './bench-host.workflow.ts';
import { benchmarks, conditionsOf, requireBenchmark, toBenchmark } from './benchmark-store.ts';

type Asked = Partial<HostBenchmark['setup']>;

/** @throws NotFound | Conflict one runs on the host already | IdempotencyMismatch */
export async function benchmarkHost(
  deps: Deps,
  access: CloudAccess<'admin'>,
  hostId: HostId,
  asked: Asked,
  idempotency?: Idempotency,
): Promise<HostBenchmark> {
  const projectId = projectOf(access);
  const host = await getHost(deps.db, access, hostId);
  // In the order of the table: one that leaves caches warm comes where it always comes.
  const comparisons = benchComparisons.filter((name) => asked.comparisons?.includes(name) ?? true);
  const { pairs = defaultBenchSetup.pairs, seconds = defaultBenchSetup.seconds, force = false } = asked;
  return onceOnly(deps.db, idempotency, async (tx) => {
    await tx.selectFrom('hosts').select('id').where('id', '=', hostId).forUpdate().execute();
    const running = await benchmarks(tx)
      .where('host_id', '=', hostId)
      .where('host_benchmarks.state', '=', 'running')
      .executeTakeFirst();
    if (running) {
      throw new VirgaError('Conflict', {
        detail: `Benchmark ${running.id} runs on host ${host.name}.`,
        action: `Wait until it has ended, or end it: virga hosts bench ${host.name} --cancel.`,
      });
    }
    const id = newId('benchmark');
    const resource = { projectId, resourceId: hostId, resourceName: host.name };
    const operationId = await startWorkflow(tx, access, benchHostKind, resource, { benchmarkId: id });
    await tx
      .insertInto('host_benchmarks')
      .values({
        id,
        host_id: hostId,
        operation_id: operationId,
        setup: JSON.stringify({ comparisons, pairs, seconds, force }),
        conditions: JSON.stringify(conditionsOf(host.facts)),
        measured: JSON.stringify([]),
        state_reason: null,
        finished_at: null,
      })
      .execute();
    await appendEvent(tx, access, {
      type: 'host.bench-requested',
      ...resource,
      projectId: null,
      message: `Host ${host.name} is to be measured: ${comparisons.join(', ')}.`,
      data: { comparisons, pairs, seconds, force },
    });
    return toBenchmark(await requireBenchmark(tx, id));
  });
}

/** @throws NotFound */
export async function listHostBenchmarks(
  db: Db,
  access: CloudAccess,
  hostId: HostId,
  page: PageRequest,
): Promise<{ items: HostBenchmark[]; next?: string }> {
  await getHost(db, access, hostId);
  return fetchPage(benchmarks(db).where('host_id', '=', hostId), 'host_benchmarks', page, toBenchmark, 'desc');
}

/** @throws NotFound */
export async function getHostBenchmark(db: Db, _access: CloudAccess, id: BenchmarkId): Promise<HostBenchmark> {
  return toBenchmark(await requireBenchmark(db, id));
}

/** One that has ended stays as it is. @throws NotFound */
export async function cancelHostBenchmark(
  deps: Deps,
  access: CloudAccess<'admin'>,
  id: BenchmarkId,
): Promise<HostBenchmark> {
  return inTransaction(deps.db, async (tx) => {
    const row = await requireBenchmark(tx, id);
    const { numUpdatedRows } = await tx
      .updateTable('host_benchmarks')
      .set({ is_cancelled: true })
      .where('id', '=', id)
      .where('state', '=', 'running')
      .where('is_cancelled', '=', false)
      .executeTakeFirst();
    if (numUpdatedRows > 0n) {
      await appendEvent(tx, access, {
        type: 'host.bench-cancel-requested',
        projectId: null,
        resourceId: row.host_id,
        resourceName: row.host_name,
        message: `The benchmark ${id} of host ${row.host_name} is to end.`,
      });
      await notify(tx, 'benchmarks', id);
    }
    return toBenchmark(await requireBenchmark(tx, id));
  });
}
