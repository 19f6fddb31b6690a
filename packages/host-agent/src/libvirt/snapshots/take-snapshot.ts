// Takes a snapshot: every disk goes on in a new file, at the same moment, and what was there until then is kept; of one in Ceph
// Ceph keeps it. A guest that runs does not stop for it, unless several disks in Ceph make it stand still for that moment; its
// file systems are frozen for that moment where its agent answers. libvirt is told to remember
// nothing of it: it could neither go back to it, nor rename the domain. What a call that failed has made is taken back.
import type { CallContext } from '@virga/contract/agent/agent';
import type { DesiredSnapshot, ObservedSnapshot, SnapshotConsistency } from '@virga/contract/agent/snapshots';
import { VirgaError } from '@virga/contract/errors';
import type { VolumeId } from '@virga/contract/ids';
import { hasNoMemory, isHibernated, snapshotGone } from '../../snapshot-conflicts.ts';
import type { AgentContext } from '../agent-context.ts';
import { dropCheckpoints } from '../backups/checkpoints.ts';
import {
  abandonChange,
  beginChange,
  currentXml,
  type DiskChange,
  finishChange,
  happen,
  hasHappened,
} from '../disks/disk-change.ts';
import { type DiskLayers, readTree } from '../disks/disk-layers.ts';
import { encryptionElement } from '../disks/disk-source.ts';
import type { DomainDisk } from '../disks/domain-disks.ts';
import { makeLayer, virtualSizeOf } from '../disks/layer-file.ts';
import { layerFor, layerPath } from '../disks/layer-names.ts';
import { isInterruption } from '../hypervisor-errors.ts';
import type { OwnDomain } from '../instances/domain-lookup.ts';
import { machineStateOf, readMachineFiles } from '../instances/machine-files.ts';
import { isOff } from '../instances/power.ts';
import { diskError, placeOf, requireSpace, smallestSpaceBytes } from '../storage.ts';
import { passphrasesOf } from '../volumes/volume-passphrase.ts';
import { withVolumes } from '../volumes/volumes.ts';
import { element, textElement } from '../xml.ts';
import { type DiskInCeph, keepInCeph } from './ceph-disks.ts';
import { defineOnLayers } from './define-on-layers.ts';
import { whileFrozen } from './freeze.ts';
import { keepMachine } from './machine-state.ts';
import { observeSnapshot } from './observed-snapshot.ts';
import { requireDisks, settledDomain } from './snapshot-domain.ts';
import { makeSnapshotFolder, memoryPath, readSnapshot, type SnapshotRecord } from './snapshot-record.ts';
import { whileStill } from './stand-still.ts';

const bytesPerMib = 1024 * 1024;

export function takeSnapshot(
  context: AgentContext,
  desired: DesiredSnapshot,
  call: CallContext,
): Promise<ObservedSnapshot> {
  const { instance } = desired;
  // Nothing of the same disks is merged meanwhile.
  return context.locks.run(`disks ${instance.id}`, () =>
    context.locks.run(instance.id, async () => {
      call.signal?.throwIfAborted();
      const domain = await settledDomain(context, desired);
      const present = await readSnapshot(context.storage, instance.id, desired.id);
      if (present !== undefined) return observeSnapshot(context, present);
      if (desired.mustExist) throw snapshotGone(desired.name, instance.domainName);
      refuseState(domain, desired);
      const volumes = domain.record.desired.volumes;
      return withVolumes(context, { cloudId: desired.cloudId, volumes }, async () =>
        observeSnapshot(context, await take(context, desired, domain, call)),
      );
    }),
  );
}

async function take(
  context: AgentContext,
  desired: DesiredSnapshot,
  domain: OwnDomain,
  { signal, onProgress }: CallContext,
): Promise<SnapshotRecord> {
  const { storage, hook } = context;
  const { id: instanceId } = desired.instance;
  const { files: disks, ceph } = await requireDisks(context, domain);
  const keys = await passphrasesOf(context, disks);
  await requireSpace(storage, smallestSpaceBytes + (desired.memory ? domain.sizes.memoryMib * bytesPerMib : 0));
  // libvirt takes no snapshot of a domain that has them; the next backup is a full one.
  await dropCheckpoints(context, domain.ref);
  const change = await plan(context, desired, domain, disks, ceph);
  await hook('snapshot-intent', desired.id);
  await beginChange(storage, instanceId, change);
  try {
    onProgress?.('preparing the disks', 10);
    await hook('snapshot-layers', desired.id);
    for (const { firstFile, file, id } of disks) {
      const { added } = change.disks.find((disk) => disk.id === id)!;
      const how = { signal, passphrase: keys.get(id) };
      await makeLayer(layerPath(firstFile, added), file, await virtualSizeOf(file), how);
    }
    signal?.throwIfAborted();
    onProgress?.('taking the snapshot', 40);
    await makeSnapshotFolder(storage, instanceId, desired.id);
    await keepMachine(storage, change.snapshot, domain.record.desired);
    if (isOff(domain)) {
      await takeCeph(context, change);
      if (disks.length > 0) await defineOnLayers(context, domain, change);
      await happen(storage, instanceId, change);
    } else {
      change.snapshot.consistency = await takeLive(context, desired, domain, disks, change);
    }
  } catch (error) {
    if (!isInterruption(error)) await settleFailed(context, domain, change);
    throw await diskError(error, placeOf(context.storage), 'prepare a snapshot');
  }
  await hook('snapshot-taken', desired.id);
  await finishChange(context, instanceId, change);
  return change.snapshot;
}

type Take = Extract<DiskChange, { kind: 'take' }>;

async function plan(
  context: AgentContext,
  { id, cloudId, name, instance, memory, keepsake }: DesiredSnapshot,
  domain: OwnDomain,
  disks: readonly DomainDisk[],
  ceph: readonly DiskInCeph[],
): Promise<Take> {
  const frozen: Record<VolumeId, DiskLayers> = {};
  const snapshot: SnapshotRecord = {
    ...{ id, cloudId, name, keepsake, memory, instanceId: instance.id, disks: [] },
    takenAt: new Date(context.clock.now()).toISOString(),
    machineState: machineStateOf(await readMachineFiles(context.storage, domain.record.desired)),
    // What is known also of one that is finished after a crash.
    consistency: isOff(domain) ? 'off' : memory ? 'memory' : 'crash',
  };
  const changed: Take['disks'] = [];
  for (const { id: diskId, firstFile, file, target } of disks) {
    const { current } = await readTree(firstFile);
    const added = layerFor(firstFile, id);
    frozen[diskId] = current;
    changed.push({ id: diskId, firstFile, added, current: [...current, added] });
    snapshot.disks.push({ id: diskId, firstFile, target, sizeBytes: await virtualSizeOf(file) });
  }
  for (const { imageBytes: _, ...disk } of ceph) snapshot.disks.push(disk);
  const isRoot = (disk: { id: VolumeId }) => Number(disk.id === domain.record.desired.rootDisk.id);
  snapshot.disks.sort((one, other) => isRoot(other) - isRoot(one));
  return { kind: 'take', snapshot, frozen, disks: changed, ...(ceph.length > 0 && { ceph: [...ceph] }) };
}

async function takeCeph({ storage, hook }: AgentContext, { snapshot, ceph = [] }: Take): Promise<void> {
  if (ceph.length === 0) return;
  await hook('snapshot-ceph', snapshot.id);
  await keepInCeph(storage, snapshot.id, ceph);
}

async function takeLive(
  context: AgentContext,
  { id, instance, memory }: DesiredSnapshot,
  domain: OwnDomain,
  disks: readonly DomainDisk[],
  change: Take,
): Promise<SnapshotConsistency> {
  const { ref, record } = domain;
  const inCeph = change.ceph?.length ?? 0;
  const memoryFile = memory ? memoryPath(context.storage, instance.id, id) : undefined;
  const xml = snapshotXml(await currentXml(context, ref), disks, change, memoryFile);
  const take = async () => {
    await takeCeph(context, change);
    await context.hook('snapshot-act', id);
    if (disks.length > 0 || memory) {
      await context.hypervisor.act(`take a snapshot of ${ref.name}`, ({ domains }) =>
        domains.snapshotCreateXml(ref, xml, {
          ...{ noMetadata: true, atomic: true, reuseExternal: true, timeoutMs: memory ? memoryTimeoutMs : undefined },
          ...(memory ? { live: inCeph === 0 } : { diskOnly: true }),
        }),
      );
    }
    await happen(context.storage, instance.id, change);
  };
  const act = async (isFrozen: boolean) => {
    // libvirt takes all files at one moment, and Ceph one disk.
    const isOneMoment = inCeph === 0 || (!memory && (isFrozen || inCeph + disks.length === 1));
    if (isOneMoment) await take();
    else await whileStill(context, domain, change, take);
    await keepMachine(context.storage, change.snapshot, record.desired);
  };
  // Memory is saved with what the guest has not written yet.
  if (!memory) return (await whileFrozen(context, instance.id, act)) ? 'filesystem' : 'crash';
  await act(false);
  return 'memory';
}

/** Much memory on a slow disk. */
const memoryTimeoutMs = 3_600_000;

/** Each disk of the domain stands in it, because libvirt would make files for those that do not. */
function snapshotXml(
  domainXml: string,
  disks: readonly DomainDisk[],
  change: Take,
  memoryFile: string | undefined,
): string {
  const targets = [...domainXml.matchAll(/<target dev='([^']+)' bus=/g)].map(([, target]) => target!);
  const diskElement = (target: string) => {
    const disk = disks.find((one) => one.target === target);
    if (disk === undefined) return element('disk', { name: target, snapshot: 'no' });
    const { added } = change.disks.find(({ id }) => id === disk.id)!;
    return element(
      'disk',
      { name: target, snapshot: 'external', type: 'file' },
      element('driver', { type: 'qcow2' }),
      element(
        'source',
        { file: layerPath(disk.firstFile, added) },
        disk.encryption && encryptionElement(disk.encryption),
      ),
    );
  };
  return element(
    'domainsnapshot',
    {},
    textElement('name', change.snapshot.id),
    element('memory', memoryFile === undefined ? { snapshot: 'no' } : { snapshot: 'external', file: memoryFile }),
    element('disks', {}, ...targets.map(diskElement)),
  );
}

/** libvirt says that it failed: all the same it is what the domain has that counts. */
async function settleFailed(context: AgentContext, { ref, record }: OwnDomain, change: Take): Promise<void> {
  if (!(await hasHappened(context, ref, change))) await abandonChange(context, record.instanceId, change);
}

function refuseState(domain: OwnDomain, { memory }: DesiredSnapshot): void {
  const { name } = domain.ref;
  if (domain.hasSavedMemory) throw isHibernated(name);
  if (!memory) return;
  if (isOff(domain)) throw hasNoMemory(name);
  if (domain.record.desired.warm === undefined) return;
  throw new VirgaError('Conflict', {
    detail: `${name} began as a copy of a running guest, whose memory is shared with the template.`,
    action: 'Leave the memory out; launch with --warm never to have memory of its own.',
    field: '/memory',
  });
}
