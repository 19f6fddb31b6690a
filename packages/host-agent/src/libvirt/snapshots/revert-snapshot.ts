// Puts the disks of an instance that is off back to what a snapshot keeps: each goes on in a new file on what was kept. Never
// libvirt's own revert, which cannot do that for snapshots in files of their own. What was written since is removed, unless
// another snapshot keeps it. What lies in Ceph is put back there, after the definition: from then on it only goes forward. A guest whose memory was kept goes on from there.
import type { CallContext } from '@virga/contract/agent/agent';
import type { SnapshotToRevert } from '@virga/contract/agent/snapshots';
import { hasOtherDisks, isHibernated, isOn, snapshotMissing } from '../../snapshot-conflicts.ts';
import type { AgentContext } from '../agent-context.ts';
import { dropCheckpoints } from '../backups/checkpoints.ts';
import { abandonChange, beginChange, type DiskChange, finishChange, lastRevert } from '../disks/disk-change.ts';
import { activeFile, readTree } from '../disks/disk-layers.ts';
import { makeLayer, virtualSizeOf } from '../disks/layer-file.ts';
import { layerFor, layerPath } from '../disks/layer-names.ts';
import { sweep } from '../disks/merge-layers.ts';
import { isInterruption } from '../hypervisor-errors.ts';
import type { OwnDomain } from '../instances/domain-lookup.ts';
import { isOff } from '../instances/power.ts';
import { storageError } from '../storage.ts';
import { passphrasesOf } from '../volumes/volume-passphrase.ts';
import { withVolumes } from '../volumes/volumes.ts';
import { areInCeph } from './ceph-disks.ts';
import { defineOnLayers, onLayers } from './define-on-layers.ts';
import { requireDisks, settledDomain } from './snapshot-domain.ts';
import { filesOf, memoryPath, readSnapshot, type SnapshotRecord } from './snapshot-record.ts';

export function revertSnapshot(context: AgentContext, asked: SnapshotToRevert, call: CallContext): Promise<void> {
  const { instance, id, cloudId } = asked;
  return context.locks.run(`disks ${instance.id}`, () =>
    context.locks.run(instance.id, async () => {
      call.signal?.throwIfAborted();
      const domain = await settledDomain(context, asked);
      const snapshot = await readSnapshot(context.storage, instance.id, id);
      if (snapshot?.cloudId !== cloudId) throw snapshotMissing(id);
      const isDone = (await lastRevert(context.storage, instance.id)) === asked.token;
      if (isDone && (!isOff(domain) || !snapshot.memory)) return;
      requireOff(domain);
      const { volumes } = domain.record.desired;
      await withVolumes(context, { cloudId, volumes }, async () => {
        if (!isDone) await putBack(context, asked, snapshot, domain, call);
        for (const { firstFile } of filesOf(snapshot)) await sweep(firstFile);
        if (snapshot.memory) await goOn(context, snapshot, domain);
      });
    }),
  );
}

async function putBack(
  context: AgentContext,
  { id, token, instance }: SnapshotToRevert,
  snapshot: SnapshotRecord,
  domain: OwnDomain,
  { signal, onProgress }: CallContext,
): Promise<void> {
  const { files, ceph } = await requireDisks(context, domain);
  refuseOthers(snapshot, domain, [...files, ...ceph]);
  if (!(await areInCeph(context.storage, id, ceph))) throw snapshotMissing(id);
  const keys = await passphrasesOf(context, files);
  await dropCheckpoints(context, domain.ref);
  const { uuid, tpm } = domain.record.desired;
  const change: DiskChange = {
    ...{ kind: 'revert', snapshotId: id, token, disks: [] },
    machine: { id: instance.id, uuid, tpm },
    ...(ceph.length > 0 && { ceph }),
    ...(files.length === 0 && { hasHappened: true }),
  };
  for (const { id: diskId, firstFile } of files) {
    const kept = (await readTree(firstFile)).snapshots[id];
    if (kept === undefined) throw snapshotMissing(id);
    const added = layerFor(firstFile, token);
    change.disks.push({ id: diskId, firstFile, added, current: [...kept, added] });
  }
  await context.hook('revert-intent', id);
  await beginChange(context.storage, instance.id, change);
  try {
    onProgress?.('preparing the disks', 10);
    await context.hook('revert-layers', id);
    for (const { id: diskId, firstFile, added, current } of change.disks) {
      // A disk that has grown since stays as large as it is.
      const sizeBytes = await virtualSizeOf(await activeFile(firstFile));
      const below = layerPath(firstFile, current.at(-2)!);
      await makeLayer(layerPath(firstFile, added), below, sizeBytes, { signal, passphrase: keys.get(diskId) });
    }
    signal?.throwIfAborted();
    onProgress?.('putting the disks back', 40);
    if (files.length > 0) await defineOnLayers(context, domain, change);
  } catch (error) {
    if (!isInterruption(error)) await abandonChange(context, instance.id, change);
    throw storageError(error, context.storage, 'go back to a snapshot');
  }
  await context.hook('revert-taken', id);
  await finishChange(context, instance.id, change, { onProgress });
}

/** From the memory that was kept, in a machine as it was then, on the disks that there are now. */
async function goOn(context: AgentContext, snapshot: SnapshotRecord, domain: OwnDomain): Promise<void> {
  const { storage, hypervisor, hook } = context;
  const file = memoryPath(storage, snapshot.instanceId, snapshot.id);
  const disks = await Promise.all(
    filesOf(snapshot).map(async ({ id, firstFile }) => ({
      id,
      firstFile,
      current: (await readTree(firstFile)).current,
    })),
  );
  const machine = await hypervisor.ask(`read the memory of ${snapshot.name}`, ({ domains }) => domains.savedXml(file));
  const xml = await onLayers(context, domain, disks, machine);
  await hook('revert-memory', snapshot.id);
  context.shutdowns.forget(snapshot.instanceId);
  await hypervisor.act(`let ${domain.ref.name} go on from its memory`, ({ domains }) =>
    domains.restore(file, { domainXml: xml, running: true, timeoutMs: 3_600_000 }),
  );
}

function requireOff(domain: OwnDomain): void {
  if (!isOff(domain)) throw isOn(domain.ref.name);
  if (domain.hasSavedMemory) throw isHibernated(domain.ref.name);
}

function refuseOthers(snapshot: SnapshotRecord, { ref }: OwnDomain, disks: readonly { id: string }[]): void {
  const now = new Set(disks.map(({ id }) => id));
  const missing = snapshot.disks.filter(({ id }) => !now.delete(id)).map(({ id }) => id);
  if (missing.length > 0 || now.size > 0) throw hasOtherDisks(ref.name, snapshot.name, missing, [...now][0]);
}
