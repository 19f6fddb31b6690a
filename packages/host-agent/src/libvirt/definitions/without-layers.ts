// A definition without which files our disks are in just now: that changes with snapshots, and libvirt writes it itself. A file
// that is not ours is left in, because a guest that writes elsewhere is a change that matters. Pure.
import { basename, dirname } from 'node:path';
import type { XmlNode } from '../../xml-overlay/xml-tree.ts';
import { isLayerName } from '../disks/layer-names.ts';

export function withoutLayers(tree: XmlNode): XmlNode {
  if (tree.name === 'disk') return withoutLayer(tree);
  if (tree.name !== 'domain' && tree.name !== 'devices') return tree;
  return { ...tree, children: tree.children.map(withoutLayers) };
}

function withoutLayer(disk: XmlNode): XmlNode {
  const file = disk.children.find(({ name }) => name === 'source')?.attributes.file;
  if (file === undefined || !isLayerName(basename(file)) || !/^(i|vol)-/.test(basename(dirname(file)))) return disk;
  const children = disk.children
    .filter(({ name }) => name !== 'backingStore')
    .map((child) => (child.name === 'source' ? { ...child, attributes: { file: dirname(file) } } : child))
    .map((child) =>
      child.name === 'driver' ? { ...child, attributes: { ...child.attributes, type: 'qcow2' } } : child,
    );
  return { ...disk, children };
}
