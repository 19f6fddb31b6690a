// Which place of a volume counts, and that all else follows from it: called before anything is made of a volume that may be
// half moved, also after a crash of the agent, libvirt, QEMU or the host. The caller holds the lock of the volume.
import { lstat, mkdir, rename } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { VolumeId } from '@virga/contract/ids';
import { flushFolder } from '../../durable-file.ts';
import type { AgentContext } from '../agent-context.ts';
import { hostBootId } from '../host/boot-id.ts';
import { lookAt, type OwnDomain } from '../instances/domain-lookup.ts';
import { isOff } from '../instances/power.ts';
import { forgetOwner, movedInFolder, pointTo, volumeName, writeRecord } from '../volumes/volume-folder.ts';
import { newPlace, oldPlace } from './move-places.ts';
import { type MoveRecord, readMove, writeMove } from './move-record.ts';
import { movedDisk } from './moved-disk.ts';
import { placeRoot } from './moved-root.ts';

/** Times of files are those of the kernel's last tick; Ceph's are exact. */
const tickNs = 20_000_000n;

/** @returns the move that is under way, with the places as they count */
export async function settleMove(context: AgentContext, id: VolumeId): Promise<MoveRecord | undefined> {
  let record = await readMove(context.storage, id);
  if (record?.phase === 'pivoting') {
    const phase = (await hasPivoted(context, record)) ? 'switched' : 'copying';
    record = { ...record, phase };
    await writeMove(context.storage, record);
  }
  if (record?.phase === 'switched') await placeAnew(context, record);
  return record;
}

/** Names the new place, and makes the old one no volume any more. May be done again; at no moment there is none. */
export async function placeAnew(context: AgentContext, record: MoveRecord): Promise<void> {
  const { storage, hook } = context;
  const { after, to } = record;
  if (after.isRoot) return placeRoot(context, record);
  await hook('move-owner', after.id);
  await writeRecord(to, after);
  await flushFolder(dirname(to));
  await hook('move-name', after.id);
  const named = volumeName(storage, after.id);
  const present = await lstat(named).catch(() => undefined);
  if (present?.isDirectory()) {
    await mkdir(dirname(oldFolder(context, record)), { recursive: true, mode: 0o711 });
    await rename(named, oldFolder(context, record));
  }
  await pointTo(storage, after.id, to);
  await hook('move-old-owner', after.id);
  await forgetOwner(oldFolder(context, record));
}

/** Where the old place is once the new one counts: what had the name of the volume itself has made room for the link. */
export const oldFolder = ({ storage }: Pick<AgentContext, 'storage'>, { before, from, to }: MoveRecord): string =>
  !before.isRoot && from === volumeName(storage, before.id) ? movedInFolder(storage, before.id, to) : from;

/** The domain of the instance that has the volume; undefined when there is none. */
export async function holderOf(context: AgentContext, holder: MoveRecord['holder']): Promise<OwnDomain | undefined> {
  if (holder === null) return undefined;
  const domain = await context.hypervisor.ask('look at who has a volume', (connection) =>
    lookAt(connection, holder.uuid),
  );
  return domain?.record === undefined ? undefined : (domain as OwnDomain);
}

/** Whether QEMU has let the new place count, of a move in which it was asked to. */
async function hasPivoted(context: AgentContext, record: MoveRecord): Promise<boolean> {
  const domain = await holderOf(context, record.holder);
  const [old, fresh] = await Promise.all([oldPlace(context.storage, record), newPlace(context.storage, record)]);
  if (domain !== undefined) {
    const xml = await context.hypervisor.ask(`look at ${domain.ref.name}`, ({ domains }) => domains.xml(domain.ref));
    if (movedDisk(xml, record.before.id)?.name === fresh.name) return true;
    if (!isOff(domain)) return false;
  }
  // The guest has died meanwhile. Until QEMU pivots both places are written, and afterwards only the new one. After a loss of
  // power that says nothing: what the guest had flushed, only the old one is sure to have.
  if (record.bootId !== hostBootId()) return false;
  const [oldTime, freshTime] = await Promise.all([old.writtenAt(), fresh.writtenAt()]);
  if (freshTime === undefined || oldTime === undefined) return freshTime !== undefined;
  return freshTime + (old.isFile === fresh.isFile ? 0n : tickNs) >= oldTime;
}
