// Does kept changes to a document. What no longer has its place is told and left out; everything else is done. Pure.
import type { OverlayChange } from '@virga/contract/agent/desired';
import { diffTrees } from './diff-overlay.ts';
import { follow, parentPath, stepTo } from './overlay-path.ts';
import { parseTree, sameNode, writeTree, type XmlNode } from './xml-tree.ts';

/** A change that could not be done, and why, as a sentence. */
export type OverlayConflict = { change: OverlayChange; reason: string };
export type Applied = { tree: XmlNode; conflicts: OverlayConflict[] };

/** Changes a copy. */
export function applyOverlay(generated: XmlNode, overlay: readonly OverlayChange[]): Applied {
  const tree = structuredClone(generated);
  const conflicts: OverlayConflict[] = [];
  for (const change of overlay) {
    const reason = applyChange(tree, change);
    if (reason !== undefined) conflicts.push({ change, reason });
  }
  return { tree, conflicts };
}

function applyChange(tree: XmlNode, change: OverlayChange): string | undefined {
  const line = follow(tree, change.path);
  const found = line?.at(-1);
  if (found === undefined) return `There is no ${change.path} any more.`;
  if (change.op === 'add') return add(found, parseTree(change.xml), change.path);
  const parent = line!.at(-2);
  if (parent === undefined) return 'The whole document cannot be replaced.';
  const index = parent.children.indexOf(found);
  if (change.op === 'remove') parent.children.splice(index, 1);
  else parent.children.splice(index, 1, parseTree(change.xml));
  return undefined;
}

function add(parent: XmlNode, child: XmlNode, path: string): string | undefined {
  // As each would be called if it were alone, which is by what makes it the one that it is.
  const called = (one: XmlNode) => stepTo({ ...parent, children: [one] }, one);
  const step = called(child);
  const twin = step.includes('[') ? parent.children.find((other) => called(other) === step) : undefined;
  if (twin !== undefined) return sameNode(twin, child) ? undefined : `There is a ${path}/${step} already.`;
  const last = parent.children.findLastIndex(({ name }) => name === child.name);
  parent.children.splice(last === -1 ? parent.children.length : last + 1, 0, child);
  return undefined;
}

/**
 * Changes that were found between two definitions as libvirt writes them, for what Virga generates, which leaves to libvirt
 * what goes without saying: a change of what is not in there is an addition.
 */
export function anchor(
  changes: readonly OverlayChange[],
  { generated, edited }: { generated: XmlNode; edited: XmlNode },
): { anchored: OverlayChange[]; conflicts: OverlayConflict[] } {
  const anchored: OverlayChange[] = [];
  const conflicts: OverlayConflict[] = [];
  for (const change of changes) {
    if (follow(generated, change.path) !== undefined) anchored.push(change);
    else if (change.op === 'remove' && follow(edited, parentPath(change.path)) !== undefined) {
      conflicts.push({ change, reason: `libvirt adds ${change.path} by itself, so it cannot be taken away.` });
    } else {
      const added = addition(change.path, generated, edited);
      if (added === undefined) conflicts.push({ change, reason: `There is no ${change.path} in what is generated.` });
      else if (!anchored.some((other) => other.op === 'add' && other.path === added.path && other.xml === added.xml))
        anchored.push(added);
    }
  }
  return { anchored, conflicts };
}

/** The outermost element on the way that is not generated, as a whole. */
function addition(
  path: string,
  generated: XmlNode,
  edited: XmlNode,
): Extract<OverlayChange, { op: 'add' }> | undefined {
  let at = path;
  while (follow(generated, parentPath(at)) === undefined) at = parentPath(at);
  const element = follow(edited, at)?.at(-1);
  return element && { op: 'add', path: parentPath(at), xml: writeTree(element) };
}

/** The same outcome with as few changes as possible: what was taken back, or changed again, goes. */
export function compact(generated: XmlNode, overlay: readonly OverlayChange[]): OverlayChange[] {
  const outcome = applyOverlay(generated, overlay).tree;
  const isSame = (candidate: readonly OverlayChange[]) => {
    const { tree, conflicts } = applyOverlay(generated, candidate);
    return conflicts.length === 0 && diffTrees(tree, outcome).length === 0;
  };
  let kept = [...overlay];
  const without = (...left: number[]) => kept.filter((_, index) => !left.includes(index));
  for (let changed = true; changed; ) {
    changed = false;
    const pairs = kept.flatMap((_, one) => [[one], ...kept.slice(one + 1).map((__, other) => [one, one + 1 + other])]);
    const spare = pairs.sort((a, b) => a.length - b.length).find((left) => isSame(without(...left)));
    if (spare !== undefined) {
      kept = without(...spare);
      changed = true;
    }
  }
  return kept;
}
