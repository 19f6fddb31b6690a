// Merges files of a disk that nothing needs by themselves any more, while a guest runs on them or not. Both ends are always
// named: without a base QEMU would merge into the image that others share. What is being merged is written down beside the
// disk; whoever comes next, also after a crash, goes on with it. Until our lists change, what is merged away is still whole.
import { readdir, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { CallContext } from '@virga/contract/agent/agent';
import { VirgaError } from '@virga/contract/errors';
import type { InstanceId } from '@virga/contract/ids';
import { readJsonFile, writeFileDurably } from '../../durable-file.ts';
import type { AgentContext } from '../agent-context.ts';
import { isLibvirtError, tolerate } from '../hypervisor-errors.ts';
import type { OwnDomain } from '../instances/domain-lookup.ts';
import { instanceFiles } from '../instances/instance-folder.ts';
import { isOff } from '../instances/power.ts';
import { holderOf } from '../moves/settle-move.ts';
import { openedWith, qemuImg } from '../pools/disk-files.ts';
import { keyId } from '../pools/pool-driver.ts';
import { defineOnLayers } from '../snapshots/define-on-layers.ts';
import { volumeFile } from '../volumes/volume-folder.ts';
import { passphraseOf } from '../volumes/volume-passphrase.ts';
import { type DiskTree, formatOfFile, pathsFrom, readTree, writeTree } from './disk-layers.ts';
import { type DomainDisk, findDisks } from './domain-disks.ts';
import { isLayerName, layerPath } from './layer-names.ts';
import { afterMerge, type Merge, namesIn, nextMerge, restingOn } from './next-merge.ts';

const mode = 0o644;
const lookAgainMs = 50;

const mergePath = (firstFile: string): string => `${firstFile}.merge.json`;

export type MergedDisk = {
  firstFile: string;
  /** The instance whose domain has it; undefined: no domain has it. */
  holder: { id: InstanceId; uuid: string } | undefined;
  /** Names of files that are not written to, because clones rest on them. */
  pinned: ReadonlySet<string>;
};

/** Merges all that can be, and removes what nothing refers to. The caller lets nobody else change the files of the disk. */
export async function compactDisk(context: AgentContext, disk: MergedDisk, call: CallContext): Promise<void> {
  const lock = disk.holder?.id ?? basename(dirname(disk.firstFile));
  for (;;) {
    call.signal?.throwIfAborted();
    const begun = await context.locks.run(lock, () => beginMerge(context, disk, call));
    if (begun === 'done') return;
    if (begun === 'merged') continue;
    await followJob(context, disk, begun, call);
  }
}

/**
 * Leaves off a merge that nobody goes on with: the disk stays in the files that it is in, of which the upper one is still whole. The
 * caller lets nobody else change them.
 */
export async function stopMerge(context: AgentContext, { firstFile, holder }: MergedDisk): Promise<void> {
  await context.locks.run(holder?.id ?? basename(dirname(firstFile)), async () => {
    const domain = await holderOf(context, holder ?? null);
    if (domain !== undefined) await finishPivots(context, domain);
    const merge = await readMerge(firstFile);
    if (merge === undefined) return;
    if (!namesIn(await readTree(firstFile)).has(merge.from)) return endMerge(firstFile, merge);
    const found = domain && !isOff(domain) ? await diskOf(context, domain, firstFile) : undefined;
    if (domain !== undefined && found !== undefined) {
      await context.hook('merge-stop', basename(dirname(firstFile)));
      await context.hypervisor.act(`leave off merging a disk of ${domain.ref.name}`, ({ domains }) =>
        tolerate(domains.blockJobAbort(domain.ref, found.target), 'OPERATION_INVALID', 'INVALID_ARG'),
      );
      const now = await diskOf(context, domain, firstFile);
      const from = layerPath(firstFile, merge.from);
      // QEMU was at its end.
      if (now && now.file !== from && !now.below.includes(from)) return finishMerge(context, firstFile, merge, domain);
    }
    await rm(mergePath(firstFile), { force: true });
  });
}

type LiveMerge = { domain: OwnDomain; target: string; merge: Merge };

/** Begins the next merge, and ends it where no guest runs on the disk. */
async function beginMerge(
  context: AgentContext,
  { firstFile, holder, pinned }: MergedDisk,
  call: CallContext,
): Promise<'done' | 'merged' | LiveMerge> {
  const domain = await holderOf(context, holder ?? null);
  if (domain !== undefined) await finishPivots(context, domain);
  const tree = await readTree(firstFile);
  const merge = (await readMerge(firstFile)) ?? nextMerge(tree, pinned);
  if (merge === undefined) {
    await sweep(firstFile);
    return 'done';
  }
  if (!namesIn(tree).has(merge.from)) {
    await endMerge(firstFile, merge);
    return 'merged';
  }
  await context.hook('merge-intent', basename(dirname(firstFile)));
  await writeFileDurably(mergePath(firstFile), `${JSON.stringify(merge)}\n`, mode);
  if (domain === undefined || isOff(domain) || !tree.current.includes(merge.from)) {
    await mergeFiles(context, firstFile, merge, domain, call);
    return 'merged';
  }
  const found = await diskOf(context, domain, firstFile);
  if (found === undefined) throw notThere(domain, firstFile);
  const from = layerPath(firstFile, merge.from);
  if (found.file !== from && !found.below.includes(from)) {
    // QEMU has come to the end of it already.
    await finishMerge(context, firstFile, merge, domain);
    return 'merged';
  }
  await startJob(context, domain, found, firstFile, merge);
  return { domain, target: found.target, merge };
}

async function startJob(
  context: AgentContext,
  { ref }: OwnDomain,
  { target, file }: DomainDisk,
  firstFile: string,
  { into, from }: Merge,
): Promise<void> {
  const job = await context.hypervisor.ask(`look at ${target} of ${ref.name}`, ({ domains }) =>
    domains.blockJobInfo(ref, target),
  );
  if (job !== undefined) return;
  const [base, top] = [layerPath(firstFile, into), layerPath(firstFile, from)];
  await context.hook('merge-begin', basename(dirname(firstFile)));
  await context.hypervisor.act(`merge a disk of ${ref.name}`, ({ domains }) =>
    domains.blockCommit(ref, target, { base, top, active: top === file }),
  );
}

/** Until QEMU has merged it, or its guest has gone off. */
async function followJob(
  context: AgentContext,
  { firstFile, holder }: MergedDisk,
  { domain, target, merge }: LiveMerge,
  { signal, onProgress }: CallContext,
): Promise<void> {
  const { ref } = domain;
  for (;;) {
    const job = await jobOf(context, ref, target);
    if (job === undefined || job === 'off') break;
    if (job.end > 0) onProgress?.('merging', Math.min(99, Math.floor((100 * job.current) / job.end)));
    if (job.type === 'active-commit' && job.current === job.end) {
      const isOver = await context.locks.run(holder!.id, async () => {
        await context.hook('merge-pivot', basename(dirname(firstFile)));
        if (!(await pivot(context, ref, target))) return false;
        await context.hook('merge-pivoted', basename(dirname(firstFile)));
        await finishMerge(context, firstFile, merge, domain);
        return true;
      });
      if (isOver) return;
    }
    await context.clock.delay(lookAgainMs, signal);
  }
  await context.locks.run(holder!.id, async () => {
    const now = await holderOf(context, holder!);
    const found = now && !isOff(now) ? await diskOf(context, now, firstFile) : undefined;
    if (now === undefined || found === undefined) return;
    const from = layerPath(firstFile, merge.from);
    if (found.file !== from && !found.below.includes(from)) return finishMerge(context, firstFile, merge, now);
    throw new VirgaError('HypervisorRefused', {
      detail: `QEMU gave up merging the disk ${target} of ${ref.name}.`,
      action:
        'See the log of the guest on the host: /var/log/libvirt/qemu. Nothing is lost; delete the snapshot again.',
    });
  });
}

async function jobOf({ hypervisor }: AgentContext, ref: OwnDomain['ref'], target: string) {
  return hypervisor.ask(`look at ${target} of ${ref.name}`, async ({ domains }) => {
    try {
      return await domains.blockJobInfo(ref, target);
    } catch (error) {
      if (isLibvirtError(error, 'OPERATION_INVALID', 'NO_DOMAIN')) return 'off' as const;
      throw error;
    }
  });
}

/** False: it is not there yet. */
async function pivot({ hypervisor }: AgentContext, ref: OwnDomain['ref'], target: string): Promise<boolean> {
  return hypervisor.act(`end the merging of a disk of ${ref.name}`, async ({ domains }) => {
    try {
      await domains.blockJobAbort(ref, target, { pivot: true });
      return true;
    } catch (error) {
      if (isLibvirtError(error, 'BLOCK_COPY_ACTIVE', 'OPERATION_INVALID', 'INVALID_ARG')) return false;
      throw error;
    }
  });
}

/** Without a guest. The caller holds the lock of whoever could start one. */
async function mergeFiles(
  context: AgentContext,
  firstFile: string,
  merge: Merge,
  domain: OwnDomain | undefined,
  { signal, onProgress }: CallContext,
): Promise<void> {
  const [into, from] = [layerPath(firstFile, merge.into), layerPath(firstFile, merge.from)];
  onProgress?.('merging', 1);
  const passphrase = await keyOf(context, firstFile);
  await context.hook('merge-files', basename(dirname(firstFile)));
  if (passphrase === undefined) await qemuImg(['commit', '-q', '-d', '-f', 'qcow2', '-b', into, from], { signal });
  else {
    // What is stated as the file below is what it merges into.
    const paths = pathsDownFrom(await readTree(firstFile), firstFile, merge.from);
    const image = openedWith(paths, keyId);
    await qemuImg(['commit', '-q', '-d', '--image-opts', image], { signal }, passphrase);
  }
  await finishMerge(context, firstFile, merge, domain);
}

/** What was merged is in `into` now. The definition first, because from what it names somebody else may start the guest. */
async function finishMerge(
  context: AgentContext,
  firstFile: string,
  merge: Merge,
  domain: OwnDomain | undefined,
): Promise<void> {
  const tree = await readTree(firstFile);
  const into = layerPath(firstFile, merge.into);
  const live = domain && !isOff(domain) ? await diskOf(context, domain, firstFile) : undefined;
  const open = new Set(live ? [live.file, ...live.below] : []);
  for (const name of restingOn(tree, merge.from)) {
    const path = layerPath(firstFile, name);
    // QEMU has done so with what it has open.
    if (open.has(path)) continue;
    const passphrase = await keyOf(context, firstFile);
    const image = passphrase === undefined ? ['-f', 'qcow2', path] : ['--image-opts', openedWith([path], keyId)];
    await qemuImg(['rebase', '-q', '-u', '-F', formatOfFile(into), '-b', into, ...image], {}, passphrase);
  }
  const after = afterMerge(tree, merge);
  if (domain?.isPersistent && tree.current.includes(merge.from)) {
    const found = await diskOf(context, domain, firstFile, { inDefinition: true });
    if (found) await defineOnLayers(context, domain, { disks: [{ ...found, added: '', current: after.current }] });
  }
  await context.hook('merge-lists', basename(dirname(firstFile)));
  await writeTree(firstFile, after);
  await context.hook('merge-end', basename(dirname(firstFile)));
  await endMerge(firstFile, merge);
}

/** No list names what was merged away. */
async function endMerge(firstFile: string, { from }: Merge): Promise<void> {
  await rm(layerPath(firstFile, from), { force: true });
  await rm(mergePath(firstFile), { force: true });
}

/**
 * What was merged while a guest ran on it, of which the one who asked for it has not heard any more: the guest goes on in the
 * file below. To be called, with the lock of its instance, before anything is made of our lists.
 */
export async function finishPivots(context: AgentContext, domain: OwnDomain): Promise<void> {
  const { storage } = context;
  const { desired, instanceId } = domain.record;
  const firstFiles = [
    instanceFiles(storage, instanceId).rootDisk,
    ...desired.volumes.map(({ id }) => volumeFile(storage, id)),
  ];
  for (const firstFile of firstFiles) {
    const merge = await readMerge(firstFile);
    if (merge === undefined || (await readTree(firstFile)).current.at(-1) !== merge.from) continue;
    const found = await diskOf(context, domain, firstFile);
    if (found?.file === layerPath(firstFile, merge.into)) await finishMerge(context, firstFile, merge, domain);
  }
}

/** Removes files of a disk that no list names. */
export async function sweep(firstFile: string): Promise<void> {
  const folder = dirname(firstFile);
  const known = namesIn(await readTree(firstFile));
  const stem = basename(firstFile).split('.')[0]!;
  const names = await readdir(folder).catch(() => []);
  const left = names.filter((name) => isLayerName(name) && name.startsWith(`${stem}.`) && !known.has(name));
  await Promise.all(left.map((name) => rm(join(folder, name), { force: true })));
}

async function diskOf(
  { hypervisor, storage }: AgentContext,
  { ref, record }: OwnDomain,
  firstFile: string,
  { inDefinition = false } = {},
): Promise<DomainDisk | undefined> {
  const xml = await hypervisor.ask(`look at the disks of ${ref.name}`, ({ domains }) =>
    domains.xml(ref, inDefinition ? { inactive: true } : {}),
  );
  return (await findDisks(storage, record.desired, xml)).disks.find((disk) => disk.firstFile === firstFile);
}

/** Of a volume that is encrypted. */
const keyOf = (context: AgentContext, firstFile: string): Promise<string | undefined> =>
  passphraseOf(context, basename(dirname(firstFile)));

/** A file, and all that it rests on. */
function pathsDownFrom({ current, snapshots }: DiskTree, firstFile: string, name: string): [string, ...string[]] {
  const layers = [current, ...Object.values(snapshots)].find((names) => names.includes(name))!;
  return pathsFrom(firstFile, layers.slice(0, layers.indexOf(name) + 1));
}

const readMerge = (firstFile: string): Promise<Merge | undefined> => readJsonFile(mergePath(firstFile));

const notThere = ({ ref }: OwnDomain, firstFile: string) =>
  new VirgaError('Conflict', {
    detail: `The domain ${ref.name} runs without the disk ${firstFile}.`,
    action: 'Look at its definition: virga xml.',
  });
