// What a domain says about itself in its `<metadata>`: whose it is, which generation was applied, which reboot was done,
// and the desired instance itself, so that a lost database can be rebuilt from the hosts. User data stays out of it: it
// may hold secrets, and lies in the seed. An element that cannot be read counts as somebody else's.
import { type DesiredInstance, readDesiredInstance } from '@virga/contract/agent/desired';
import { parseXml, textElement } from '../xml.ts';

/** Namespace of the element. The number at the end changes when older readers could not understand it. */
export const domainNamespace = 'urn:virga:domain:1';
/** Prefix under which libvirt writes it. */
export const domainPrefix = 'virga';

export type DomainRecord = {
  cloudId: string;
  instanceId: DesiredInstance['id'];
  generation: number;
  /** Token of the last reboot that was done. */
  rebootToken: string | null;
  /** As it was applied last, without user data. */
  desired: DesiredInstance;
};

export function recordOf(desired: DesiredInstance, rebootToken: string | null): DomainRecord {
  return {
    cloudId: desired.cloudId,
    instanceId: desired.id,
    generation: desired.generation,
    rebootToken,
    desired: { ...desired, seed: { ...desired.seed, userData: null } },
  };
}

/** The element as libvirt's set-metadata call takes it: without prefix. */
export function metadataElement(record: DomainRecord): string {
  return write('instance', {}, record);
}

/** The element as it stands in domain XML. */
export function prefixedMetadataElement(record: DomainRecord): string {
  return write(`${domainPrefix}:instance`, { [`xmlns:${domainPrefix}`]: domainNamespace }, record);
}

function write(name: string, namespace: Record<string, string>, record: DomainRecord): string {
  return textElement(name, JSON.stringify(record.desired), {
    ...namespace,
    cloud: record.cloudId,
    project: record.desired.projectId,
    id: record.instanceId,
    name: record.desired.name,
    generation: record.generation,
    reboot: record.rebootToken ?? undefined,
  });
}

/** Reads what {@link metadataElement} wrote; undefined when it is not of this form. */
export function readMetadataElement(xml: string): DomainRecord | undefined {
  try {
    const { attributes, text } = parseXml(xml);
    const desired = readDesiredInstance(JSON.parse(text));
    const generation = Number(attributes.generation);
    if (desired === undefined || !Number.isSafeInteger(generation)) return undefined;
    if (attributes.cloud !== desired.cloudId || attributes.id !== desired.id) return undefined;
    const rebootToken = attributes.reboot ?? null;
    return { cloudId: desired.cloudId, instanceId: desired.id, generation, rebootToken, desired };
  } catch {
    return undefined;
  }
}
