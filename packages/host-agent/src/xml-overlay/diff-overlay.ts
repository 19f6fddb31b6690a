// What has to be done to one document so that it says what another does, as changes that can be kept and done again to a
// document that was generated anew. Pure.
import type { OverlayChange } from '@virga/contract/agent/desired';
import { stepTo } from './overlay-path.ts';
import { namespacesOf, sameHead, sameNode, standAlone, writeTree, type XmlNode } from './xml-tree.ts';

/** The root itself was changed, which is no change of anything in it. */
export class RootChanged extends Error {
  override readonly name = 'RootChanged';
}

/**
 * The changes from `base` to `edited`, as deep in the tree as they are.
 * @param ignored paths that are not looked at
 * @throws RootChanged
 */
export function diffTrees(base: XmlNode, edited: XmlNode, ignored: ReadonlySet<string> = new Set()): OverlayChange[] {
  if (base.name !== edited.name || !sameHead(withoutId(base), withoutId(edited))) {
    throw new RootChanged(`<${base.name}> itself was changed`);
  }
  const namespaces = namespacesOf(edited);
  const changes: OverlayChange[] = [];
  const xmlOf = (node: XmlNode) => writeTree(standAlone(node, namespaces));

  const compare = (before: XmlNode, after: XmlNode, path: string): void => {
    const known = new Map(before.children.map((child) => [stepTo(before, child), child]));
    const wanted = new Map(after.children.map((child) => [stepTo(after, child), child]));
    for (const [step] of known) {
      const at = `${path}/${step}`;
      if (!wanted.has(step) && !ignored.has(at)) changes.push({ op: 'remove', path: at });
    }
    for (const [step, child] of wanted) {
      const at = `${path}/${step}`;
      const old = known.get(step);
      if (ignored.has(at)) continue;
      if (old === undefined) changes.push({ op: 'add', path, xml: xmlOf(child) });
      else if (sameNode(old, child)) continue;
      else if (sameHead(old, child) && old.children.length > 0 && child.children.length > 0) compare(old, child, at);
      else changes.push({ op: 'set', path: at, xml: xmlOf(child) });
    }
  };
  compare(base, edited, `/${base.name}`);
  return changes;
}

/** The number of a domain that runs. */
function withoutId(node: XmlNode): XmlNode {
  const { id: _, ...attributes } = node.attributes;
  return { ...node, attributes };
}
