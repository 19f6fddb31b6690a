// What the domain of a template or of a shell says of itself. It is an element of its own, so that nothing takes such a domain
// for an instance. A shell keeps it until it has become one.
import { type InstanceId, isId, type TemplateId } from '@virga/contract/ids';
import type { Connection } from '@virga/libvirt/connection/connect';
import type { DomainRef } from '@virga/libvirt/protocol/objects';
import { isLibvirtError } from '../hypervisor-errors.ts';
import { element, parseXml } from '../xml.ts';

const namespace = 'urn:virga:shell:1';
const prefix = 'shell';

/**
 * `loading`: its memory is not there yet. `waiting`: it is, and nothing of it has run. `taken`: it runs, and is to become its
 * instance.
 */
export type ShellPhase = 'loading' | 'waiting' | 'taken';

export type ShellRecord = { cloudId: string; templateId: TemplateId; instanceId: InstanceId | null; phase: ShellPhase };

const attributesOf = ({ cloudId, templateId, instanceId, phase }: ShellRecord) => ({
  cloud: cloudId,
  template: templateId,
  instance: instanceId ?? '',
  phase,
});

/** The element as it stands in domain XML. */
export const shellElement = (record: ShellRecord): string =>
  element(`${prefix}:shell`, { [`xmlns:${prefix}`]: namespace, ...attributesOf(record) });

/** Undefined when the domain is no template and no shell, or gone. */
export async function readShellRecord({ domains }: Connection, ref: DomainRef): Promise<ShellRecord | undefined> {
  let xml: string;
  try {
    xml = await domains.getMetadata(ref, namespace);
  } catch (error) {
    if (isLibvirtError(error, 'NO_DOMAIN_METADATA', 'NO_DOMAIN')) return undefined;
    throw error;
  }
  const { cloud = '', template = '', instance = '', phase } = parseXml(xml).attributes;
  if (!isId('template', template)) return undefined;
  return {
    cloudId: cloud,
    templateId: template,
    instanceId: isId('instance', instance) ? instance : null,
    phase: phase === 'waiting' || phase === 'loading' ? phase : 'taken',
  };
}

/** Writes it into the running domain; null takes it out. */
export async function writeShellRecord(
  { domains }: Connection,
  ref: DomainRef,
  record: ShellRecord | null,
): Promise<void> {
  const xml = record && element('shell', attributesOf(record));
  await domains.setMetadata(ref, { uri: namespace, key: prefix, xml }, { live: true });
}
