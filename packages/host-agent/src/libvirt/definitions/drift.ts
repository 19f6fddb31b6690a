// Changes that somebody made to a definition with virsh or virt-manager. Found by comparing what libvirt has with what it had
// when we wrote last; what to do about one is not decided here. Domain XML of another libvirt is not compared: it may say the
// same in other words.
import { createHash } from 'node:crypto';
import type { ObservedDrift } from '@virga/contract/agent/definition';
import type { DesiredInstance } from '@virga/contract/agent/desired';
import { anchor, compact } from '../../xml-overlay/apply-overlay.ts';
import { diffTrees } from '../../xml-overlay/diff-overlay.ts';
import { unifiedDiff } from '../../xml-overlay/unified-diff.ts';
import { parseTree, writeTree, type XmlNode } from '../../xml-overlay/xml-tree.ts';
import type { AgentContext } from '../agent-context.ts';
import type { OwnDomain } from '../instances/domain-lookup.ts';
import { generationIn } from './effective-definition.ts';
import { generatedDefinition } from './generated-definition.ts';
import { protectedParts } from './protected-parts.ts';
import { readDefinition, readWritten, rememberDefinition, rememberedDefinition } from './remembered-definition.ts';
import { withoutLayers } from './without-layers.ts';

/** To be called with the lock of the instance. Undefined: it is as we wrote it, or as somebody has decided that it may be. */
export async function findDrift(
  context: AgentContext,
  domain: OwnDomain,
  settled?: string | undefined,
): Promise<ObservedDrift | undefined> {
  const { ref, record, isPersistent } = domain;
  if (!isPersistent) return undefined;
  const [found, remembered] = await Promise.all([
    context.hypervisor.ask(`read the definition of ${ref.name}`, (connection) => readDefinition(connection, ref)),
    rememberedDefinition(context, record.instanceId),
  ]);
  const after = withoutLayers(parseTree(found));
  const before = remembered === undefined ? undefined : withoutLayers(parseTree(remembered));
  // Only we write a newer generation. An older one is of somebody who began to edit before we wrote.
  if (before === undefined || generationIn(after) > generationIn(before)) {
    // Written by us, in a call that ended before it could be remembered, or by an earlier version.
    await rememberDefinition(context, record.instanceId, await readWritten(context, ref));
    return undefined;
  }
  const changes = diffTrees(before, after, protectedParts(record.desired));
  if (changes.length === 0) return undefined;
  const hash = createHash('sha256').update(JSON.stringify(changes)).digest('hex');
  if (hash === settled) return undefined;
  const diff = unifiedDiff(masked(writeTree(before)), masked(writeTree(after)), {
    before: 'as Virga had defined it',
    after: 'as it was found',
  });
  return { hash, diff, ...(await keptAs(context, record.desired, changes, after)) };
}

/** A difference is shown to whoever sees the instance; passwords of its screen are not for them. */
const masked = (xml: string): string => xml.replace(/ passwd='[^']*'/g, " passwd='…'");

/** The overlay that would keep it. */
async function keptAs(
  context: AgentContext,
  desired: DesiredInstance,
  changes: ReturnType<typeof diffTrees>,
  edited: XmlNode,
): Promise<Pick<ObservedDrift, 'overlay' | 'conflicts'>> {
  const generated = parseTree(await generatedDefinition(context, desired));
  const { anchored, conflicts } = anchor(changes, { generated, edited });
  return {
    overlay: compact(generated, [...desired.overlay, ...anchored]),
    conflicts: conflicts.map(({ reason }) => reason),
  };
}
