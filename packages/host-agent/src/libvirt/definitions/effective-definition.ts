// What is generated with the overlay of an instance done to it. Pure. A change that has lost its place is left out and told.
import type { OverlayChange } from '@virga/contract/agent/desired';
import { applyOverlay } from '../../xml-overlay/apply-overlay.ts';
import { parseTree, writeTree, type XmlNode } from '../../xml-overlay/xml-tree.ts';
import { type DomainRecord, domainPrefix, prefixedMetadataElement } from '../instances/domain-metadata.ts';

export function withOverlay(
  generated: string,
  overlay: readonly OverlayChange[],
): { xml: string; conflicts: string[] } {
  if (overlay.length === 0) return { xml: generated, conflicts: [] };
  const { tree, conflicts } = applyOverlay(parseTree(generated), overlay);
  return { xml: writeTree(tree), conflicts: conflicts.map(({ reason }) => reason) };
}

const markName = `${domainPrefix}:instance`;

/** A definition that says whose it is, and which generation was applied. */
export function withMark(xml: string, record: DomainRecord): string {
  const tree = parseTree(xml);
  const others = tree.children.filter(({ name }) => name !== 'metadata');
  const metadata = tree.children.find(({ name }) => name === 'metadata') ?? emptyMetadata;
  const rest = metadata.children.filter(({ name }) => name !== markName);
  const marked = { ...metadata, children: [...rest, parseTree(prefixedMetadataElement(record))] };
  return writeTree({ ...tree, children: [...others, marked] });
}

/** It may have been renamed since it was defined so. */
export function withName(xml: string, name: string): string {
  const tree = parseTree(xml);
  const children = tree.children.map((child) => (child.name === 'name' ? { ...child, text: name } : child));
  return writeTree({ ...tree, children });
}

/** The generation that a definition says was applied last. */
export function generationIn(tree: XmlNode): number {
  const metadata = tree.children.find(({ name }) => name === 'metadata');
  return Number(metadata?.children.find(({ name }) => name === markName)?.attributes.generation ?? 0);
}

const emptyMetadata: XmlNode = { name: 'metadata', attributes: {}, text: '', children: [] };
