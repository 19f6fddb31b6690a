// What libvirt knows of one domain, read in one go. Owns the question whose a domain is: ours only when its metadata says
// so. A domain that goes away while it is looked at counts as not there.
import type { InstanceId } from '@virga/contract/ids';
import type { DomainState } from '@virga/libvirt/api/domain/state-names';
import type { Connection } from '@virga/libvirt/connection/connect';
import type { DomainRef } from '@virga/libvirt/protocol/objects';
import { isLibvirtError } from '../hypervisor-errors.ts';
import { type DomainRecord, domainNamespace, readMetadataElement } from './domain-metadata.ts';

const kibPerMib = 1024;

export type SeenDomain = {
  ref: DomainRef;
  /** Undefined: somebody else's. */
  record: DomainRecord | undefined;
  state: DomainState;
  /** False: it runs but is not defined, so it is gone once it stops. */
  isPersistent: boolean;
  /** It is off, and its memory is saved: the next start goes on from there. */
  hasSavedMemory: boolean;
  /** What it has, or would start with. */
  sizes: Sizes;
};

export type Sizes = { vcpus: number; memoryMib: number };

/** A domain that is an instance of some cloud. */
export type OwnDomain = SeenDomain & { record: DomainRecord };

export async function findByUuid(connection: Connection, uuid: string): Promise<DomainRef | undefined> {
  return orAbsent(connection.domains.lookupByUuid(uuid));
}

export async function findByName(connection: Connection, name: string): Promise<DomainRef | undefined> {
  return orAbsent(connection.domains.lookupByName(name));
}

export async function lookAt(connection: Connection, uuid: string): Promise<SeenDomain | undefined> {
  const ref = await findByUuid(connection, uuid);
  if (ref === undefined) return undefined;
  const [record, state, isPersistent, hasSavedMemory, sizes] = await Promise.all([
    readRecord(connection, ref),
    orAbsent(connection.domains.state(ref)),
    orAbsent(connection.domains.isPersistent(ref)),
    orAbsent(connection.domains.hasManagedSave(ref)),
    readSizes(connection, ref),
  ]);
  if (state === undefined || isPersistent === undefined || hasSavedMemory === undefined) return undefined;
  return sizes && { ref, record, state, isPersistent, hasSavedMemory, sizes };
}

/** vCPUs that are plugged in, and memory without what the balloon holds. libvirt knows both without asking QEMU. */
export async function readSizes(connection: Connection, ref: DomainRef): Promise<Sizes | undefined> {
  const info = await orAbsent(connection.domains.info(ref));
  return info && { vcpus: info.vcpus, memoryMib: Math.round(info.memoryKib / kibPerMib) };
}

/** What the domain says of itself; undefined when it is nobody's of ours, or gone. */
export async function readRecord(connection: Connection, ref: DomainRef): Promise<DomainRecord | undefined> {
  try {
    return readMetadataElement(await connection.domains.getMetadata(ref, domainNamespace));
  } catch (error) {
    if (isLibvirtError(error, 'NO_DOMAIN_METADATA', 'NO_DOMAIN')) return undefined;
    throw error;
  }
}

/** The domain of an instance, by what the domains say of themselves. */
export async function findById(connection: Connection, id: InstanceId): Promise<DomainRef | undefined> {
  for (const ref of await connection.domains.list()) {
    if ((await readRecord(connection, ref))?.instanceId === id) return ref;
  }
  return undefined;
}

async function orAbsent<T>(answer: Promise<T>): Promise<T | undefined> {
  try {
    return await answer;
  } catch (error) {
    if (isLibvirtError(error, 'NO_DOMAIN')) return undefined;
    throw error;
  }
}
