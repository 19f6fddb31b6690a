// The definition of a domain that is off, with its disks on other files than before; all else in it stays, also what somebody
// has changed. This is the moment at which a change of disks becomes so.
import { basename, dirname } from 'node:path';
import { parseTree, writeTree, type XmlNode } from '../../xml-overlay/xml-tree.ts';
import type { AgentContext } from '../agent-context.ts';
import { readDefinition } from '../definitions/remembered-definition.ts';
import type { ChangedDisk, DiskChange } from '../disks/disk-change.ts';
import { sourceOfLayers } from '../disks/disk-layers.ts';
import { type DiskSource, diskType, sharedSource, sourceElements } from '../disks/disk-source.ts';
import { isLayerName } from '../disks/layer-names.ts';
import { rootBase } from '../disks/root-base.ts';
import type { OwnDomain } from '../instances/domain-lookup.ts';
import { readOwner } from '../instances/instance-folder.ts';
import { volumeSource } from '../volumes/volume-folder.ts';

export async function defineOnLayers(
  context: AgentContext,
  domain: Pick<OwnDomain, 'ref' | 'record'>,
  { disks }: Pick<DiskChange, 'disks'>,
): Promise<void> {
  const { ref, record } = domain;
  const before = await context.hypervisor.ask(`read the definition of ${ref.name}`, (connection) =>
    readDefinition(connection, ref),
  );
  const xml = await onLayers(context, domain, disks, before);
  await context.hook('define-layers', record.instanceId);
  await context.hypervisor.act(`define ${ref.name}`, ({ domains }) => domains.defineXml(xml));
}

/** XML of a domain, of memory too, with its disks on the layers that are to be the current ones. */
export async function onLayers(
  { storage }: AgentContext,
  { record }: Pick<OwnDomain, 'record'>,
  disks: readonly Pick<ChangedDisk, 'id' | 'firstFile' | 'current'>[],
  before: string,
): Promise<string> {
  const { desired, instanceId } = record;
  const sources: { firstFile: string; source: DiskSource }[] = [];
  for (const { id, firstFile, current } of disks) {
    const volume = id === desired.rootDisk.id ? undefined : await volumeSource(storage, id);
    const base = volume
      ? baseOf(volume, firstFile)
      : await rootBase(storage, desired, await readOwner(storage, instanceId));
    const source = sourceOfLayers(firstFile, current, base ? sharedSource(base) : undefined, volume?.encryption);
    sources.push({ firstFile, source });
  }
  const place = (node: XmlNode): XmlNode => {
    if (node.name !== 'disk') return { ...node, children: node.children.map(place) };
    const file = node.children.find(({ name }) => name === 'source')?.attributes.file ?? '';
    const found = sources.find(({ firstFile }) => isOf(firstFile, file));
    return found === undefined ? node : withSource(node, found.source);
  };
  const tree = parseTree(before);
  return writeTree({
    ...tree,
    children: tree.children.map((child) => (child.name === 'devices' ? place(child) : child)),
  });
}

/** What the first file of a volume rests on. */
function baseOf(source: DiskSource | undefined, firstFile: string): DiskSource | undefined {
  if (source === undefined || source.path === firstFile) return source?.base;
  return baseOf(source.base, firstFile);
}

/** One of its files, also one that has been merged since: the memory of a guest names those of then. */
const isOf = (firstFile: string, file: string): boolean =>
  dirname(file) === dirname(firstFile) && isLayerName(basename(file));

/** The disk with that as what it is, and all else as it was. */
export function withSource(disk: XmlNode, source: DiskSource): XmlNode {
  const others = disk.children.filter(({ name }) => name !== 'source' && name !== 'backingStore');
  const [driver, ...rest] = others.toSorted(
    (one, other) => Number(other.name === 'driver') - Number(one.name === 'driver'),
  );
  const fresh = sourceElements(source).map((text) => parseTree(text));
  const typed = driver && { ...driver, attributes: { ...driver.attributes, type: source.format } };
  const attributes = { ...disk.attributes, type: diskType(source) };
  return { ...disk, attributes, children: [...(typed ? [typed] : []), ...fresh, ...rest] };
}
