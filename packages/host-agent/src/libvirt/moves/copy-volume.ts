// Copies a volume to its new place: by QEMU while a guest writes to it, else by us. A guest that comes on or goes off meanwhile has
// it begun anew in the other way. What is made here is no volume until the switch.
import { mkdir, rm } from 'node:fs/promises';
import type { CallContext } from '@virga/contract/agent/agent';
import type { DesiredMove } from '@virga/contract/agent/moves';
import { flushFolder } from '../../durable-file.ts';
import { isHibernated } from '../../move-conflicts.ts';
import type { AgentContext } from '../agent-context.ts';
import type { OwnDomain } from '../instances/domain-lookup.ts';
import { requireSeen } from '../instances/seen-by-guest.ts';
import type { PoolDriver } from '../pools/pool-driver.ts';
import { poolOf, requirePool } from '../pools/pools.ts';
import { diskError, smallestSpaceBytes } from '../storage.ts';
import { keepVolumeSecret } from '../volumes/volume-secret.ts';
import { beginMove } from './begin-move.ts';
import { copyDisk } from './copy-disk.ts';
import { gaveUp, liveDisk, mirrorPercent, startMirror } from './mirror.ts';
import { withLocks } from './move-locks.ts';
import { driverFor, newPlace, oldPlace } from './move-places.ts';
import { type MoveRecord, readMove, writeMove } from './move-record.ts';
import { holderOf } from './settle-move.ts';

const lookAgainMs = 200;
const folderMode = 0o711;

/** How far a move is: copied; being mirrored by QEMU; or to be copied by us. */
type Stage =
  | { kind: 'whole' }
  | { kind: 'mirrored'; domain: OwnDomain; target: string }
  | { kind: 'still'; record: MoveRecord; mark: string };

export async function copyVolume(context: AgentContext, move: DesiredMove, call: CallContext): Promise<void> {
  const driver = await poolOf(context, move.volume.pool, move.isRoot && 'root');
  for (;;) {
    call.signal?.throwIfAborted();
    const stage = await withLocks(context, move.holder, move.volume.id, () => nextStage(context, move, driver, call));
    if (stage.kind === 'whole') return;
    if (stage.kind === 'mirrored') {
      if (await followMirror(context, move, stage, driver, call)) return;
    } else await copyStill(context, move, stage, driver, call);
  }
}

async function nextStage(
  context: AgentContext,
  move: DesiredMove,
  driver: PoolDriver,
  { signal }: CallContext,
): Promise<Stage> {
  const { id, passphrase } = move.volume;
  const domain = await holderOf(context, move.holder);
  const record = await beginMove(context, move, driver, domain);
  if (record.phase === 'switched') return { kind: 'whole' };
  if (domain?.hasSavedMemory) throw isHibernated(domain.ref.name);
  if (passphrase !== undefined) await keepVolumeSecret(context, id, passphrase);
  const disk = domain && (await liveDisk(context, domain.ref, id));
  if (domain !== undefined && disk !== undefined) {
    if (disk.mirror?.name !== (await newPlace(context.storage, record)).name) {
      await makeDestination(context, move, record, driver, signal);
      await context.hook('move-mirror', id);
      // libvirt may have forgotten the key of it.
      if (record.after.poolId) await requirePool(context, record.after.poolId);
      const destination = await destinationOf(move, record, driver);
      await requireSeen(context, domain.ref, destination);
      const { bandwidthBytesPerSecond } = move;
      await startMirror(context, domain.ref, disk.target, { destination, bandwidthBytesPerSecond });
    }
    return { kind: 'mirrored', domain, target: disk.target };
  }
  const old = await oldPlace(context.storage, record);
  if (record.copied !== undefined && (await old.isAsMarked(record.copied))) return { kind: 'whole' };
  await makeDestination(context, move, record, driver, signal);
  await context.hook('move-mark', id);
  return { kind: 'still', record, mark: await old.mark() };
}

/** An empty disk in a folder that is no volume. What an earlier try has made of it goes. */
async function makeDestination(
  context: AgentContext,
  { volume: { preallocation = 'off', passphrase } }: DesiredMove,
  record: MoveRecord,
  driver: PoolDriver,
  signal: AbortSignal | undefined,
): Promise<void> {
  const { id, format = 'qcow2', sizeBytes: known } = record.after;
  const { copied: _, ...begun } = record;
  await writeMove(context.storage, begun);
  const old = await driverFor(context.storage, record.before);
  const sizeBytes = (await old.sizeOf(record.from, id, record.before.encrypted)) ?? known;
  await context.hook('move-destination', id);
  try {
    await driver.removeDisk(id);
    if (record.to !== '') {
      await rm(record.to, { recursive: true, force: true });
      await mkdir(record.to, { recursive: true, mode: folderMode });
    }
    await driver.makeDisk(record.to, id, { format, sizeBytes, preallocation, passphrase }, { signal });
    if (record.to !== '') await flushFolder(record.to);
  } catch (error) {
    throw await copyError(driver, record, error);
  }
}

async function destinationOf({ volume: { passphrase } }: DesiredMove, record: MoveRecord, driver: PoolDriver) {
  const { id, format = 'qcow2' } = record.after;
  return driver.source(record.to, { id, format, encrypted: passphrase !== undefined }, undefined);
}

/** @returns whether it is whole; false: the guest is no longer there */
async function followMirror(
  context: AgentContext,
  { volume: { id }, isRoot }: DesiredMove,
  { domain: { ref }, target }: Extract<Stage, { kind: 'mirrored' }>,
  driver: PoolDriver,
  { signal, onProgress }: CallContext,
): Promise<boolean> {
  for (;;) {
    const percent = await mirrorPercent(context, ref, target);
    const disk = await liveDisk(context, ref, id);
    if (disk === undefined) return false;
    if (disk.mirror?.isReady) return true;
    if (percent === undefined && disk.mirror === undefined) {
      const record = await readMove(context.storage, id);
      // Somebody else has ended it, or taken it to its end.
      if (record === undefined || record.phase !== 'copying') return false;
      await driver.requireSpace(smallestSpaceBytes);
      throw gaveUp(id, ref.name);
    }
    onProgress?.(isRoot ? 'copying the disk' : 'copying the volume', Math.min(99, percent ?? 0));
    await context.clock.delay(lookAgainMs, signal);
  }
}

/** Ends early when a guest comes on: then it is begun anew with that. */
async function copyStill(
  context: AgentContext,
  move: DesiredMove,
  { record, mark }: Extract<Stage, { kind: 'still' }>,
  driver: PoolDriver,
  { signal, onProgress }: CallContext,
): Promise<void> {
  const { id } = move.volume;
  const isOn = new AbortController();
  const ended = new AbortController();
  const watching = watchForGuest(context, move, isOn, ended.signal);
  const [from, to] = await Promise.all([oldPlace(context.storage, record), newPlace(context.storage, record)]);
  const { passphrase, preallocation = 'off' } = move.volume;
  // What is behind a key reads as noise, unless nothing is there.
  const isBlank = passphrase === undefined || (to.isFile && preallocation === 'off');
  const { bandwidthBytesPerSecond } = move;
  try {
    await context.hook('move-copy', id);
    await copyDisk(
      {
        what: move.isRoot ? 'copying the disk' : 'copying the volume',
        from,
        to,
        passphrase,
        isBlank,
        bandwidthBytesPerSecond,
      },
      { signal: AbortSignal.any([isOn.signal, ...(signal ? [signal] : [])]), onProgress },
    );
  } catch (error) {
    if (isOn.signal.aborted) return;
    throw await copyError(driver, record, error);
  } finally {
    ended.abort();
    await watching;
  }
  await withLocks(context, move.holder, id, async () => {
    const now = await readMove(context.storage, id);
    if (now?.token !== move.token || now.phase !== 'copying' || !(await from.isAsMarked(mark))) return;
    await context.hook('move-copied', id);
    await writeMove(context.storage, { ...now, copied: mark });
  });
}

async function watchForGuest(
  context: AgentContext,
  { holder, volume }: DesiredMove,
  isOn: AbortController,
  ended: AbortSignal,
): Promise<void> {
  while (holder !== null && !ended.aborted) {
    const domain = await holderOf(context, holder).catch(() => undefined);
    if (domain && (await liveDisk(context, domain.ref, volume.id).catch(() => undefined))) return isOn.abort();
    await context.clock.delay(lookAgainMs, ended).catch(() => undefined);
  }
}

const copyError = (driver: PoolDriver, { before }: MoveRecord, error: unknown): Promise<unknown> =>
  diskError(
    error,
    driver,
    before.isRoot ? `copy the root disk of ${before.name}` : `copy the volume ${before.id}`,
    'See the log of the host agent. Nothing is lost; move it again.',
  );
