// The definition of a domain whose volume, or root disk, has been moved: it names the new place, and what we remember of it does too, so that
// nobody takes that for a change of somebody else; what somebody else has changed stays one. The caller holds the lock of the
// instance.
import { parseTree, writeTree, type XmlNode } from '../../xml-overlay/xml-tree.ts';
import type { AgentContext } from '../agent-context.ts';
import {
  lastDefinition,
  readDefinition,
  readWritten,
  rememberDefinition,
  rememberedDefinition,
} from '../definitions/remembered-definition.ts';
import { type DiskSource, diskName, diskNameOf } from '../disks/disk-source.ts';
import { deviceAlias, diskSerial } from '../instances/device-xml.ts';
import type { OwnDomain } from '../instances/domain-lookup.ts';
import { withSource } from '../snapshots/define-on-layers.ts';
import { volumeSource } from '../volumes/volume-folder.ts';
import type { MoveRecord } from './move-record.ts';
import { describeAnew, movedRootSource } from './moved-root.ts';
import { holderOf, settleMove } from './settle-move.ts';

/** To be called before anything is made of the definition of an instance: what a move of its volumes left half done is done. */
export async function settleMoves(context: AgentContext, domain: OwnDomain): Promise<void> {
  const { rootDisk, volumes } = domain.record.desired;
  for (const { id } of [rootDisk, ...volumes]) {
    const record = await context.locks.run(id, () => settleMove(context, id));
    if (record?.phase === 'switched') await defineAnew(context, record);
  }
}

/** May be done again. */
export async function defineAnew(context: AgentContext, record: MoveRecord): Promise<void> {
  const { storage, hypervisor, hook } = context;
  const domain = await holderOf(context, record.holder);
  if (domain === undefined || !domain.isPersistent) return;
  const { ref, record: owner } = domain;
  const { id } = record.after;
  const source = record.after.isRoot ? await movedRootSource(storage, record) : await volumeSource(storage, id);
  const found = parseTree(
    await hypervisor.ask(`read the definition of ${ref.name}`, (connection) => readDefinition(connection, ref)),
  );
  if (!isOn(found, id, source)) {
    await hook('move-define', id);
    const xml = writeTree(putOn(found, id, source));
    await hypervisor.act(`define ${ref.name}`, ({ domains }) => domains.defineXml(xml));
  }
  if (record.after.isRoot) await describeAnew(context, domain, record.after);
  // Of another version of libvirt nothing is compared.
  if ((await rememberedDefinition(context, owner.instanceId)) === undefined) return;
  const remembered = parseTree((await lastDefinition(storage, owner.instanceId))!);
  if (isOn(remembered, id, source)) return;
  await hook('move-remember', id);
  const written = await readWritten(context, ref);
  await rememberDefinition(context, owner.instanceId, { ...written, xml: writeTree(putOn(remembered, id, source)) });
}

const childOf = (node: XmlNode | undefined, name: string): XmlNode | undefined =>
  node?.children.find((child) => child.name === name);

const isDiskOf = (node: XmlNode, id: MoveRecord['after']['id']): boolean =>
  node.name === 'disk' &&
  (childOf(node, 'alias')?.attributes.name === deviceAlias(id) || childOf(node, 'serial')?.text === diskSerial(id));

/** Also true of a definition without that disk. */
function isOn(domain: XmlNode, id: MoveRecord['after']['id'], wanted: DiskSource): boolean {
  const disk = childOf(domain, 'devices')?.children.find((node) => isDiskOf(node, id));
  if (disk === undefined) return true;
  const source = childOf(disk, 'source');
  const hosts = (source?.children ?? []).filter(({ name }) => name === 'host').map(({ attributes }) => attributes.name);
  const name = source && diskNameOf(source.attributes, hosts);
  return name === diskName(wanted) && childOf(disk, 'driver')?.attributes.type === wanted.format;
}

function putOn(domain: XmlNode, id: MoveRecord['after']['id'], source: DiskSource): XmlNode {
  const put = (disk: XmlNode): XmlNode => (isDiskOf(disk, id) ? withSource(disk, source) : disk);
  const children = domain.children.map((child) =>
    child.name === 'devices' ? { ...child, children: child.children.map(put) } : child,
  );
  return { ...domain, children };
}
