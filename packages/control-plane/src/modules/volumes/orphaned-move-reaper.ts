// Ends moves on a host that no row knows of, such as after a database was restored from a backup: one whose new place counts
// already is finished, any other is taken back.
import { VirgaError } from '@virga/contract/errors';
import type { RegisteredHost } from '../../agents/agent-registry.ts';
import type { Deps } from '../../deps.ts';

export async function reapMoves(deps: Deps, host: RegisteredHost, signal: AbortSignal): Promise<void> {
  const there = await host.agent.listMoves(deps.cloudId, { signal });
  if (there.length === 0) return;
  const tokens = there.map(({ token }) => token);
  const known = await deps.db
    .selectFrom('volume_moves')
    .select('token')
    .where('token', 'in', tokens)
    .unionAll(deps.db.selectFrom('root_disk_moves').select('token').where('token', 'in', tokens))
    .execute();
  const open = await openTokens(deps, tokens);
  for (const move of there) {
    if (known.some(({ token }) => token === move.token) || open.has(move.token)) continue;
    await endMove(host, move, signal);
    deps.log.warn({ volume: move.volumeId, host: host.name }, 'ended a move that no row knows of');
  }
}

async function endMove(
  { agent }: RegisteredHost,
  move: Awaited<ReturnType<RegisteredHost['agent']['listMoves']>>[number],
  signal: AbortSignal,
): Promise<void> {
  try {
    if (!move.isSwitched) return await agent.cancelMove(move, { signal });
  } catch (error) {
    // It has switched meanwhile.
    if (!(error instanceof VirgaError) || error.code !== 'Conflict') throw error;
  }
  await agent.finishMove(move, { signal });
}

/** Of a volume or instance that was deleted meanwhile only the operation is left, which sees to it. */
async function openTokens({ db }: Deps, tokens: readonly string[]): Promise<Set<string>> {
  const rows = await db
    .selectFrom('operations')
    .select('input')
    .where('kind', 'in', ['volume.move', 'instance.move-disk'])
    .where('state', 'in', ['queued', 'running'])
    .execute();
  const open = rows.map(({ input }) => (input as { token?: string } | null)?.token ?? '');
  return new Set(open.filter((token) => tokens.includes(token)));
}
