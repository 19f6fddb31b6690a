// Definitions as the contract tells them and plans changes to them. Changes nothing.
import type { Definition, DefinitionEdit, OverlayPlan } from '@virga/contract/agent/definition';
import type { DesiredInstance } from '@virga/contract/agent/desired';
import type { InstanceId } from '@virga/contract/ids';
import type { AgentContext } from '../agent-context.ts';
import { readRecord } from '../instances/domain-lookup.ts';
import { requireDomain } from '../instances/require-domain.ts';
import { checkDefinition } from './check-definition.ts';
import { generatedDefinition } from './generated-definition.ts';
import { describeOverlay, planEdit } from './plan-overlay.ts';
import { readDefinition } from './remembered-definition.ts';

/** @throws NotFound */
export async function readWholeDefinition(context: AgentContext, id: InstanceId): Promise<Definition> {
  const { effective, desired } = await readNow(context, id);
  const generated = await generatedDefinition(context, desired);
  return { generated, effective, overlay: desired.overlay, ...describeOverlay(generated, desired.overlay) };
}

/** @throws InvalidArgument | NotFound */
export async function planOverlay(
  context: AgentContext,
  desired: DesiredInstance,
  edit: DefinitionEdit,
): Promise<OverlayPlan> {
  const { effective } = await readNow(context, desired.id);
  const generated = await generatedDefinition(context, desired);
  const { xml, ...plan } = planEdit(desired, { generated, effective }, edit);
  await checkDefinition(context, desired.id, xml);
  return plan;
}

function readNow(context: AgentContext, id: InstanceId): Promise<{ effective: string; desired: DesiredInstance }> {
  return context.hypervisor.ask(`read the definition of ${id}`, async (connection) => {
    const ref = await requireDomain(context, connection, id);
    const [effective, record] = await Promise.all([readDefinition(connection, ref), readRecord(connection, ref)]);
    return { effective, desired: record!.desired };
  });
}
