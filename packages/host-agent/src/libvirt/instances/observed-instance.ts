// Instances as the host has them: domains by what they say of themselves, and folders without a domain. Changes nothing.
import { access } from 'node:fs/promises';
import type { ObservedInstance } from '@virga/contract/agent/observed';
import { type DomainState, domainState } from '@virga/libvirt/api/domain/state-names';
import type { Connection } from '@virga/libvirt/connection/connect';
import type { AgentContext } from '../agent-context.ts';
import { standsForChange } from '../disks/disk-change.ts';
import { isLibvirtError } from '../hypervisor-errors.ts';
import { cephMark } from '../pools/rbd-root-disk.ts';
import { lookAt, type OwnDomain, readRecord, readSizes } from './domain-lookup.ts';
import { isNotedGone } from './gone-elsewhere.ts';
import { type FolderOwner, folderPath, hasLeftovers, instanceFiles, listFolders } from './instance-folder.ts';
import { observedState } from './observed-state.ts';

type Identity = Pick<FolderOwner, 'id' | 'cloudId' | 'domainName' | 'uuid'>;

/** An instance whose domain was just looked at. */
export async function observe(context: AgentContext, domain: OwnDomain): Promise<ObservedInstance> {
  const { instanceId: id, cloudId, generation, desired } = domain.record;
  const isAdopted = desired.origin === 'adopted';
  const { state, reason: known, moving } = observedState(await settledState(context, domain));
  const isGone = state === 'stopped' && known === 'unknown' && (await isNotedGone(context.storage, id));
  const reason = isGone ? 'migrated' : known;
  const isHibernated = state === 'stopped' && domain.hasSavedMemory;
  if (state === 'stopped') context.shutdowns.forget(id);
  return {
    id,
    cloudId,
    generation,
    state: isHibernated ? 'hibernated' : state === 'running' && context.shutdowns.isPending(id) ? 'stopping' : state,
    // After a restart of the host, or of libvirtd, nobody knows who saved it.
    reason: isHibernated && reason !== 'unknown' ? 'suspended' : reason,
    intact: domain.isPersistent && (isAdopted || (await hasFiles(context, id))),
    leftovers: false,
    domainName: domain.ref.name,
    ...(moving && { moving }),
    ...(isAdopted && { adopted: true }),
    ...(desired.warm && { warm: true }),
    ...(state !== 'stopped' && { sizes: domain.sizes }),
  };
}

const forSnapshot: DomainState = { state: 'paused', reason: 'snapshot' };

/** Undefined: it is gone. */
async function stateNow(domains: Connection['domains'], ref: OwnDomain['ref']): Promise<DomainState | undefined> {
  try {
    return await domains.state(ref);
  } catch (error) {
    if (isLibvirtError(error, 'NO_DOMAIN')) return undefined;
    throw error;
  }
}

/** QEMU stands still for a moment at the end of what libvirt does with the memory of a guest, and gives no reason for that. */
async function settledState(context: AgentContext, { ref, state, record }: OwnDomain): Promise<DomainState> {
  const { hypervisor, storage } = context;
  if (state.state !== 'paused') return state;
  const standsForUs = () => standsForChange(storage, record.instanceId);
  if (state.reason === 'user') {
    if (await standsForUs()) return forSnapshot;
    // It may have gone on between the two questions.
    const now = await hypervisor.ask(`look at ${ref.name}`, ({ domains }) => stateNow(domains, ref));
    return now?.state === 'paused' && (await standsForUs()) ? forSnapshot : (now ?? state);
  }
  if (state.reason !== 'unknown') return state;
  return hypervisor.ask(`look at ${ref.name}`, async ({ domains }) => {
    try {
      const { type } = await domains.jobStats(ref);
      // What has ended since has let the guest go on.
      return type === 'none' ? await domains.state(ref) : forSnapshot;
    } catch (error) {
      if (isLibvirtError(error, 'OPERATION_INVALID', 'NO_DOMAIN')) return state;
      throw error;
    }
  });
}

/** An instance that has no domain. */
export async function observeAbsent(
  context: AgentContext,
  { id, cloudId, domainName }: Identity,
): Promise<ObservedInstance> {
  context.shutdowns.forget(id);
  const leftovers = await hasLeftovers(context.storage, { id, cloudId });
  return { id, cloudId, ...(await absence(context, id)), leftovers, domainName };
}

async function absence({ storage }: AgentContext, id: Identity['id']) {
  const reason = (await isNotedGone(storage, id)) ? 'migrated' : 'undefined';
  return { generation: 0, state: 'absent', reason, intact: false } as const;
}

/** Looks at one instance by its UUID; `identity` tells whose it was, in case it is gone. */
export async function observeNow(
  context: AgentContext,
  connection: Connection,
  identity: Identity,
): Promise<ObservedInstance> {
  const domain = await lookAt(connection, identity.uuid);
  if (domain?.record?.cloudId !== identity.cloudId) return observeAbsent(context, identity);
  return observe(context, domain as OwnDomain);
}

/** An instance and the UUID of its domain, where that is known. */
export type SeenInstance = { instance: ObservedInstance; uuid: string | undefined };

/** Every instance of a cloud, also those of which only files are left. */
export async function listSeenInstances(
  context: AgentContext,
  connection: Connection,
  cloudId: string,
): Promise<SeenInstance[]> {
  // Folders first: an instance that is made meanwhile is then seen as a domain, never as its leftovers.
  const folders = await listFolders(context.storage, cloudId);
  const [domains, transient, saved, measured] = await Promise.all([
    connection.domains.list(),
    connection.domains.list({ transient: true }),
    connection.domains.list({ withManagedSave: true }),
    connection.domains.stats({ groups: ['state'], noWait: true }),
  ]);
  const transientUuids = new Set(transient.map(({ uuid }) => uuid));
  const savedUuids = new Set(saved.map(({ uuid }) => uuid));
  const states = new Map(measured.map(({ domain, parameters }) => [domain.uuid, parameters]));
  const found = await Promise.all(
    domains.map(async (ref) => {
      const [record, sizes] = await Promise.all([readRecord(connection, ref), readSizes(connection, ref)]);
      if (record?.cloudId !== cloudId || sizes === undefined) return undefined;
      const measures = states.get(ref.uuid);
      // It came to be, or went, between two questions: the next event tells.
      if (measures === undefined) return undefined;
      const state = domainState(Number(measures['state.state']), Number(measures['state.reason']));
      const isPersistent = !transientUuids.has(ref.uuid);
      const own = { ref, record, state, isPersistent, hasSavedMemory: savedUuids.has(ref.uuid), sizes };
      return { instance: await observe(context, own), uuid: ref.uuid };
    }),
  );
  const instances = found.filter((instance) => instance !== undefined);
  const ids = new Set(instances.map(({ instance }) => instance.id));
  const absent = [...folders].filter(([id]) => !ids.has(id));
  return [...instances, ...(await Promise.all(absent.map(([id, owner]) => leftoversOf(context, id, cloudId, owner))))];
}

async function leftoversOf(
  context: AgentContext,
  id: Identity['id'],
  cloudId: string,
  owner: FolderOwner | undefined,
): Promise<SeenInstance> {
  const domainName = owner?.domainName ?? '';
  const instance = { id, cloudId, ...(await absence(context, id)), leftovers: true, domainName };
  return { instance, uuid: owner?.uuid };
}

/** True when the disk and the seed of an instance are where they should be. */
async function hasFiles({ storage }: AgentContext, id: Identity['id']): Promise<boolean> {
  const { rootDisk, seed } = instanceFiles(storage, id);
  try {
    await Promise.all([access(rootDisk).catch(() => access(cephMark(folderPath(storage, id)))), access(seed)]);
    return true;
  } catch {
    return false;
  }
}
