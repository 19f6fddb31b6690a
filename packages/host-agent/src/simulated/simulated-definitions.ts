// Definitions on a simulated host: what is generated, overlays, and what others change beside Virga. The same functions as on
// a real one, without libvirt's word on it.
import { createHash } from 'node:crypto';
import type { Definition, DefinitionEdit, ObservedDrift, OverlayPlan } from '@virga/contract/agent/definition';
import type { DesiredInstance } from '@virga/contract/agent/desired';
import type { InstanceId } from '@virga/contract/ids';
import { withOverlay } from '../libvirt/definitions/effective-definition.ts';
import { describeOverlay, planEdit } from '../libvirt/definitions/plan-overlay.ts';
import { protectedParts } from '../libvirt/definitions/protected-parts.ts';
import { compact } from '../xml-overlay/apply-overlay.ts';
import { diffTrees } from '../xml-overlay/diff-overlay.ts';
import { unifiedDiff } from '../xml-overlay/unified-diff.ts';
import { parseTree } from '../xml-overlay/xml-tree.ts';
import { generatedDomainXml } from './simulated-domain-xml.ts';
import type { SimulatedHost } from './simulated-host.ts';

/** @throws NotFound */
export function simulatedDefinition(host: SimulatedHost, id: InstanceId): Definition {
  const generated = generatedDomainXml(host, id);
  const domain = host.domain(id)!;
  const { overlay } = domain.record.desired;
  const effective = domain.changedTo ?? withOverlay(generated, overlay).xml;
  return { generated, effective, overlay, ...describeOverlay(generated, overlay) };
}

/** @throws InvalidArgument | NotFound */
export function planSimulatedOverlay(host: SimulatedHost, desired: DesiredInstance, edit: DefinitionEdit): OverlayPlan {
  const { xml: _, ...plan } = planEdit(desired, simulatedDefinition(host, desired.id), edit);
  return plan;
}

/** What somebody has changed, that nobody has decided about. */
export function simulatedDrift(host: SimulatedHost, id: InstanceId, settled?: string): ObservedDrift | undefined {
  const domain = host.domain(id);
  if (domain?.changedTo === undefined) return undefined;
  const { desired } = domain.record;
  const generated = generatedDomainXml(host, id);
  const before = withOverlay(generated, desired.overlay).xml;
  const changes = diffTrees(parseTree(before), parseTree(domain.changedTo), protectedParts(desired));
  const hash = createHash('sha256').update(JSON.stringify(changes)).digest('hex');
  if (changes.length === 0 || hash === settled) return undefined;
  const diff = unifiedDiff(before, domain.changedTo, { before: 'as Virga had defined it', after: 'as it was found' });
  return { hash, diff, overlay: compact(parseTree(generated), [...desired.overlay, ...changes]), conflicts: [] };
}

/** What was decided about is written over. */
export function forgetChange(host: SimulatedHost, id: InstanceId): void {
  const domain = host.domain(id);
  if (domain?.changedTo === undefined) return;
  const { changedTo: _, ...rest } = domain;
  host.store.domains.set(id, rest);
}
