// From what somebody wants a definition to be to the overlay that makes it so. Pure, but for what it is given to ask; libvirt's
// word on the outcome is asked for elsewhere.
import type { Definition, DefinitionEdit, OverlayPlan } from '@virga/contract/agent/definition';
import type { DesiredInstance, OverlayChange } from '@virga/contract/agent/desired';
import { VirgaError } from '@virga/contract/errors';
import { anchor, compact } from '../../xml-overlay/apply-overlay.ts';
import { diffTrees, RootChanged } from '../../xml-overlay/diff-overlay.ts';
import { parsePath } from '../../xml-overlay/overlay-path.ts';
import { unifiedDiff } from '../../xml-overlay/unified-diff.ts';
import { parseTree, type XmlNode } from '../../xml-overlay/xml-tree.ts';
import { withOverlay } from './effective-definition.ts';
import { markPath, protectedParts } from './protected-parts.ts';

type Known = { generated: string; effective: string };

/** @throws InvalidArgument it cannot be read, or changes what is Virga's to say */
export function planEdit(
  desired: Pick<DesiredInstance, 'origin' | 'overlay'>,
  { generated, effective }: Known,
  edit: DefinitionEdit,
): OverlayPlan & { xml: string } {
  const base = parseTree(generated);
  const before = withOverlay(generated, desired.overlay);
  const changes = 'xml' in edit ? fromXml(desired, base, effective, edit.xml) : fromChanges(desired, edit);
  const whole = 'xml' in edit ? [...desired.overlay, ...changes] : changes;
  const fresh = withOverlay(generated, whole).conflicts.filter((conflict) => !before.conflicts.includes(conflict));
  if (fresh.length > 0) throw unusable(fresh.join(' '), 'Change that; nothing was changed on the host.');
  const overlay = 'xml' in edit ? compact(base, whole) : whole;
  const after = withOverlay(generated, overlay);
  const diff = unifiedDiff(before.xml, after.xml, { before: 'as it is', after: 'as it will be' });
  return { overlay, diff, conflicts: after.conflicts, xml: after.xml };
}

/** What an overlay does to what is generated, as people read it. */
export function describeOverlay(
  generated: string,
  overlay: readonly OverlayChange[],
): Pick<Definition, 'diff' | 'conflicts'> {
  const { xml, conflicts } = withOverlay(generated, overlay);
  return { diff: unifiedDiff(generated, xml, { before: 'generated', after: 'with the overlay' }), conflicts };
}

function fromXml(
  desired: Pick<DesiredInstance, 'origin'>,
  base: XmlNode,
  effective: string,
  xml: string,
): OverlayChange[] {
  try {
    const edited = parseTree(xml);
    // The mark may be that of an earlier generation, as it was when somebody began to edit.
    const found = diffTrees(parseTree(effective), edited, new Set([markPath]));
    refuseProtected(desired, found);
    const { anchored, conflicts } = anchor(found, { generated: base, edited });
    if (conflicts.length > 0) throw unusable(conflicts.map(({ reason }) => reason).join(' '), 'Leave that as it is.');
    return anchored;
  } catch (error) {
    if (error instanceof SyntaxError) throw unusable(`${sentence(error.message)}`, 'Mend the XML.', error);
    if (error instanceof RootChanged) {
      throw unusable('The attributes of <domain> were changed.', 'Leave them; namespaces may be declared.', error);
    }
    throw error;
  }
}

function fromChanges(
  desired: Pick<DesiredInstance, 'origin'>,
  { changes }: { changes: OverlayChange[] },
): OverlayChange[] {
  try {
    for (const change of changes) {
      parsePath(change.path);
      if (change.op !== 'remove') parseTree(change.xml);
    }
  } catch (error) {
    if (error instanceof SyntaxError) throw unusable(sentence(error.message), 'Mend the change.', error, '/changes');
    throw error;
  }
  refuseProtected(desired, changes);
  return changes;
}

/** @throws InvalidArgument */
function refuseProtected(desired: Pick<DesiredInstance, 'origin'>, changes: readonly OverlayChange[]): void {
  for (const change of changes) {
    const touched = change.op === 'add' ? `${change.path}/${parseTree(change.xml).name}` : change.path;
    const part = [...protectedParts(desired)].find(
      (path) =>
        touched === path || touched.startsWith(`${path}/`) || (change.op !== 'add' && path.startsWith(`${touched}/`)),
    );
    if (part === undefined) continue;
    throw unusable(
      `${part} is Virga's to say, and cannot be changed here.`,
      'Leave it as it is; virga set changes the name.',
    );
  }
}

const sentence = (text: string) => `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;

const unusable = (detail: string, action: string, cause?: unknown, field = '/xml') =>
  new VirgaError('InvalidArgument', { detail, action, field, cause });
