// Domains that carry nothing of ours: what there is, and what has to be known to take one over. Reads only. A domain whose
// element of ours cannot be read is none of them: it may be a newer Virga's.
import type { ForeignDomain, ForeignDomainDetails } from '@virga/contract/agent/foreign';
import { VirgaError } from '@virga/contract/errors';
import type { Connection } from '@virga/libvirt/connection/connect';
import type { DomainRef } from '@virga/libvirt/protocol/objects';
import type { AgentContext } from '../agent-context.ts';
import { isLibvirtError } from '../hypervisor-errors.ts';
import { readShellRecord } from '../warm/shell-record.ts';
import { childAt, childrenOf, parseXml, type XmlElement } from '../xml.ts';
import { findByName, findByUuid } from './domain-lookup.ts';
import { domainNamespace } from './domain-metadata.ts';
import { observedState } from './observed-state.ts';

const kibPerMib = 1024;
const uuidForm = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

export async function listForeignDomains(connection: Connection): Promise<ForeignDomain[]> {
  const refs = await connection.domains.list();
  const found = await Promise.all(refs.map((ref) => describe(connection, ref)));
  return found.filter((domain) => domain !== undefined);
}

/** True when the domain says that it is an instance of some cloud, in whatever words, or is to become one. */
export async function isMarked(connection: Connection, ref: DomainRef): Promise<boolean> {
  try {
    await connection.domains.getMetadata(ref, domainNamespace);
    return true;
  } catch (error) {
    if (!isLibvirtError(error, 'NO_DOMAIN_METADATA')) throw error;
  }
  return (await readShellRecord(connection, ref)) !== undefined;
}

/** Undefined: it is an instance, or gone. */
async function describe(connection: Connection, ref: DomainRef): Promise<ForeignDomain | undefined> {
  const { domains } = connection;
  try {
    if (await isMarked(connection, ref)) return undefined;
    const [info, state, persistent, saved] = await Promise.all([
      domains.info(ref),
      domains.state(ref),
      domains.isPersistent(ref),
      domains.hasManagedSave(ref),
    ]);
    return {
      name: ref.name,
      uuid: ref.uuid,
      state: stateOf(observedState(state).state, saved),
      vcpus: info.vcpus,
      memoryMib: Math.ceil(info.maxMemoryKib / kibPerMib),
      persistent,
    };
  } catch (error) {
    if (isLibvirtError(error, 'NO_DOMAIN')) return undefined;
    throw error;
  }
}

function stateOf(state: ReturnType<typeof observedState>['state'], saved: boolean): ForeignDomain['state'] {
  if (state === 'paused') return 'paused';
  if (state === 'running' || state === 'stopping') return 'running';
  return saved ? 'hibernated' : 'stopped';
}

/** @throws NotFound | Conflict it is an instance of a cloud */
export async function inspectForeignDomain(
  context: AgentContext,
  connection: Connection,
  cloudId: string,
  nameOrUuid: string,
): Promise<ForeignDomainDetails> {
  const byUuid = uuidForm.test(nameOrUuid) ? await findByUuid(connection, nameOrUuid) : undefined;
  const ref = byUuid ?? (await findByName(connection, nameOrUuid));
  if (ref === undefined) throw noSuchDomain(nameOrUuid);
  const domain = await describe(connection, ref);
  if (domain === undefined) throw isAnInstance(ref);
  // As it will be at the next start: what can be added while it runs is in there too.
  const definition = parseXml(await connection.domains.xml(ref, { inactive: domain.persistent }));
  return {
    ...domain,
    ...sizesOf(definition, domain),
    firmware: firmwareOf(definition),
    diskBytes: await diskBytesOf(connection, ref, definition),
    nics: await nicsOf(context, connection, cloudId, definition),
  };
}

function sizesOf(definition: XmlElement, { vcpus, memoryMib }: ForeignDomain) {
  const maxVcpus = Number(childAt(definition, 'vcpu')?.text ?? vcpus);
  const maxMemory = kibibytes(childAt(definition, 'maxMemory')) ?? 0;
  return {
    maxVcpus: Math.max(vcpus, Number.isSafeInteger(maxVcpus) ? maxVcpus : 0),
    maxMemoryMib: Math.max(memoryMib, Math.floor(maxMemory / kibPerMib)),
  };
}

/** libvirt writes sizes in KiB, whatever was given. */
function kibibytes(element: XmlElement | undefined): number | undefined {
  const value = Number(element?.text);
  return Number.isSafeInteger(value) ? value : undefined;
}

function firmwareOf(definition: XmlElement): ForeignDomainDetails['firmware'] {
  const os = childAt(definition, 'os');
  const loader = childAt(os, 'loader');
  if (os?.attributes.firmware !== 'efi' && loader?.attributes.type !== 'pflash') return 'bios';
  const features = childrenOf(childAt(os, 'firmware'), 'feature');
  const isSecure =
    loader?.attributes.secure === 'yes' ||
    features.some(({ attributes }) => attributes.name === 'secure-boot' && attributes.enabled === 'yes');
  return isSecure ? 'uefi-secure' : 'uefi';
}

async function diskBytesOf({ domains }: Connection, ref: DomainRef, definition: XmlElement): Promise<number> {
  const disk = childrenOf(childAt(definition, 'devices'), 'disk').find(
    ({ attributes }) => (attributes.device ?? 'disk') === 'disk',
  );
  const target = childAt(disk, 'target')?.attributes.dev;
  if (target === undefined) return 0;
  try {
    return Number((await domains.blockInfo(ref, target)).capacityBytes);
  } catch (error) {
    // Its file may be away; then it cannot be told.
    if (isLibvirtError(error, 'NO_DOMAIN')) throw error;
    return 0;
  }
}

async function nicsOf(
  { networkNames }: AgentContext,
  connection: Connection,
  cloudId: string,
  definition: XmlElement,
): Promise<ForeignDomainDetails['nics']> {
  const ours = (await networkNames.list(connection)).filter(({ defined }) => defined.record.cloudId === cloudId);
  const nics: ForeignDomainDetails['nics'] = [];
  for (const card of childrenOf(childAt(definition, 'devices'), 'interface')) {
    const mac = childAt(card, 'mac')?.attributes.address?.toLowerCase();
    const name = childAt(card, 'source')?.attributes.network;
    const network = ours.find(({ ref }) => ref.name === name);
    if (mac === undefined || network === undefined) continue;
    const { defined, running, ref } = network;
    const fixed = (running ?? defined).leases.find((lease) => lease.mac === mac)?.address;
    const given = fixed ?? (running && (await connection.networks.dhcpLeases(ref, { mac })).at(0)?.address);
    nics.push({ mac, networkId: defined.record.id, address: given ?? null });
  }
  return nics;
}

const noSuchDomain = (nameOrUuid: string) =>
  new VirgaError('NotFound', {
    detail: `There is no domain ${nameOrUuid} on the host.`,
    action: 'Look at what is there: virga hosts domains, or virsh list --all.',
    field: '/domain',
  });

const isAnInstance = ({ name }: DomainRef) =>
  new VirgaError('Conflict', {
    detail: `The domain ${name} is an instance of a cloud already.`,
    action: 'Release it from there first: virga release NAME.',
    field: '/domain',
  });
