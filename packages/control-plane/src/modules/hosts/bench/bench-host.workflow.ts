// Measures a host, one comparison after the other. Each is written down when it has ended, so that a server that was killed
// goes on with the next. What is cancelled, or cannot go on, keeps what was measured.
import { VirgaError } from '@virga/contract/errors';
import type { BenchmarkId } from '@virga/contract/ids';
import type { Deps } from '../../../deps.ts';
import type { Tx } from '../../../store/database.ts';
import { type ActContext, step, workflow } from '../../../workflows/workflow.ts';
import { requireBenchmark } from './benchmark-store.ts';

type Input = { benchmarkId: BenchmarkId };
export const benchHostKind = 'host.bench';

export const benchHost = workflow<Input>({
  kind: benchHostKind,
  isLong: true,
  steps: [
    step<Input>({
      message: 'measuring',
      act: measureAll,
      record: (tx, { input, deps }) => end(tx, deps, input, 'succeeded', null),
    }),
  ],
  failed: async (tx, { input, deps }, { detail }) => {
    const { is_cancelled } = await requireBenchmark(tx, input.benchmarkId);
    await end(tx, deps, input, is_cancelled ? 'cancelled' : 'failed', detail);
  },
});

async function measureAll(context: ActContext<Input>): Promise<void> {
  const { deps, input } = context;
  const cancelling = new AbortController();
  const unsubscribe = [
    deps.notifications.subscribe('benchmarks', (id) => id === input.benchmarkId && cancelling.abort()),
    deps.notifications.onReconnected(() => void look().catch(() => {})),
  ];
  async function look() {
    const row = await requireBenchmark(deps.db, input.benchmarkId);
    if (row.is_cancelled) cancelling.abort();
    return row;
  }
  try {
    for (;;) {
      const { setup, measured, host_id } = await look();
      const comparison = setup.comparisons.find((name) => !measured.some((one) => one.name === name));
      if (comparison === undefined) return;
      cancelling.signal.throwIfAborted();
      const share = 100 / setup.comparisons.length;
      const { pairs, seconds, force } = setup;
      const result = await deps.agents.agentOf(host_id).compare(
        { comparison, pairs, seconds, force },
        {
          signal: AbortSignal.any([context.signal, cancelling.signal]),
          onProgress: (message, percent) =>
            context.onProgress(message, share * measured.length + (share * percent) / 100),
        },
      );
      await deps.db
        .updateTable('host_benchmarks')
        .set({ measured: JSON.stringify([...measured, result]) })
        .where('id', '=', input.benchmarkId)
        .execute();
    }
  } catch (error) {
    if (context.signal.aborted || !cancelling.signal.aborted) throw error;
    throw new VirgaError('Conflict', {
      detail: 'The benchmark was cancelled.',
      action: 'Nothing needs to be done: what had been measured is kept, and the host is as before.',
      cause: error,
    });
  } finally {
    for (const stop of unsubscribe) stop();
  }
}

async function end(
  tx: Tx,
  { clock }: Deps,
  { benchmarkId }: Input,
  state: 'succeeded' | 'failed' | 'cancelled',
  reason: string | null,
): Promise<void> {
  await tx
    .updateTable('host_benchmarks')
    .set({ state, state_reason: reason, finished_at: clock.now() })
    .where('id', '=', benchmarkId)
    .execute();
}
